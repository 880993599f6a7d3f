//! An HTTP server on smol, with a `LocalExecutor` on one thread.

use servers::{answer_all, listen, BUFFER};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Async, LocalExecutor};
use std::io;
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(serve(&executor)))
}

async fn serve(executor: &LocalExecutor<'_>) -> io::Result<()> {
    let listener: Async<TcpListener> = Async::new(listen()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.get_ref().set_nodelay(true)?;
        executor.spawn(http(stream)).detach();
    }
}

async fn http(mut stream: Async<TcpStream>) -> io::Result<()> {
    let (mut input, mut output, mut chunk) = (Vec::new(), Vec::new(), vec![0; BUFFER]);
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            received => input.extend_from_slice(&chunk[..received]),
        }
        answer_all(&mut input, &mut output);
        stream.write_all(&output).await?;
        output.clear();
    }
}
