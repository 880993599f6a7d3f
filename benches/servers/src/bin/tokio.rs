//! An HTTP server on tokio: on one thread, or with the argument `many` on a thread per processor.

use servers::{answer_all, listen, BUFFER};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn main() -> io::Result<()> {
    let mut builder = match std::env::args().nth(1).as_deref() {
        Some("many") => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    builder.enable_io().build()?.block_on(serve())
}

async fn serve() -> io::Result<()> {
    let listener = TcpListener::from_std(listen()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(http(stream));
    }
}

async fn http(mut stream: TcpStream) -> io::Result<()> {
    let (mut input, mut output) = (Vec::with_capacity(BUFFER), Vec::new());
    while stream.read_buf(&mut input).await? > 0 {
        answer_all(&mut input, &mut output);
        stream.write_all(&output).await?;
        output.clear();
    }
    Ok(())
}
