//! The numbers of signals (`asm/signal.h`), a module for each column. A port has its own as `signal`.

macro_rules! columns {
    ($($NAME:ident $most:literal $mips:literal $sparc:literal)*) => {
        pub mod most {
            $(pub const $NAME: i32 = $most;)*
        }
        pub mod mips {
            $(pub const $NAME: i32 = $mips;)*
        }
        pub mod sparc {
            $(pub const $NAME: i32 = $sparc;)*
        }
    };
}

columns! {
    //      most  MIPS  SPARC
    SIGHUP     1     1     1
    SIGINT     2     2     2
    SIGQUIT    3     3     3
    SIGILL     4     4     4
    SIGTRAP    5     5     5
    SIGABRT    6     6     6
    SIGBUS     7    10    10
    SIGFPE     8     8     8
    SIGKILL    9     9     9
    SIGUSR1   10    16    30
    SIGSEGV   11    11    11
    SIGUSR2   12    17    31
    SIGPIPE   13    13    13
    SIGALRM   14    14    14
    SIGTERM   15    15    15
    SIGCHLD   17    18    20
    SIGCONT   18    25    19
    SIGSTOP   19    23    17
    SIGTSTP   20    24    18
    SIGTTIN   21    26    21
    SIGTTOU   22    27    22
    SIGURG    23    21    16
    SIGXCPU   24    30    24
    SIGXFSZ   25    31    25
    SIGVTALRM 26    28    26
    SIGPROF   27    29    27
    SIGWINCH  28    20    28
    SIGIO     29    22    23
    SIGPWR    30    19    29
    SIGSYS    31    12    12
}
