//! An HTTP server on monoio: io_uring, on one thread.
//!
//! Where the kernel refuses io_uring, it prints `refused: ` and the reason in place of the address.

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use servers::{answer_all, listen, BUFFER};
use std::io;

fn main() -> io::Result<()> {
    match RuntimeBuilder::<IoUringDriver>::new().build() {
        Ok(mut runtime) => runtime.block_on(serve()),
        Err(error) => {
            println!("refused: the kernel gives no io_uring: {error}");
            Ok(())
        }
    }
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::from_std(listen()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        monoio::spawn(http(stream));
    }
}

/// The kernel owns both buffers while it reads and writes them.
async fn http(mut stream: TcpStream) -> io::Result<()> {
    let (mut input, mut output, mut chunk) = (Vec::new(), Vec::new(), vec![0; BUFFER]);
    loop {
        let received;
        (received, chunk) = stream.read(chunk).await;
        match received? {
            0 => return Ok(()),
            received => input.extend_from_slice(&chunk[..received]),
        }
        answer_all(&mut input, &mut output);
        let written;
        (written, output) = stream.write_all(output).await;
        written?;
        output.clear();
    }
}
