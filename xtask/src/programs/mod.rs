pub mod answers;
pub mod bare_echo;
pub mod c;
pub mod cat;
pub mod musl;
pub mod serve;
pub mod soak;
pub mod with_std;
