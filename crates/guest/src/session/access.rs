//! Who may open sessions, and until when they last.
//!
//! A machine lives a life from one restore to the next. Sessions are admitted by
//! the life's token and end with it:
//!
//! ```text
//!            open            suspend
//! suspended ─────► admitting ───────► suspended, next life
//!                   │    ▲
//!             close │    │ replace (same life, other token)
//!                   ▼
//!                 closed: sessions go on, none is admitted
//! ```

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::identity::decode_hex;

const TOKEN_BYTES: usize = 32;

/// What a session must show.
#[derive(Clone, Copy)]
pub struct Token([u8; TOKEN_BYTES]);

impl Token {
    /// From its 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        decode_hex(text).map(Self)
    }

    /// In a time that does not tell how much of it is right.
    fn is_same(&self, other: &Self) -> bool {
        let difference =
            self.0.iter().zip(&other.0).fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
        difference == 0
    }
}

struct State {
    life: u64,
    began: Instant,
    token: Option<Token>,
}

/// The machine's present life and token. Suspended at first.
pub struct Access {
    state: watch::Sender<State>,
}

impl Default for Access {
    fn default() -> Self {
        Self { state: watch::Sender::new(State { life: 0, began: Instant::now(), token: None }) }
    }
}

impl Access {
    /// Ends every session and admits none: the machine is about to become another.
    pub fn suspend(&self) {
        self.state.send_modify(|state| {
            state.life += 1;
            state.began = Instant::now();
            state.token = None;
        });
    }

    /// Admits sessions that show `token`.
    pub fn open(&self, token: Token) {
        self.state.send_modify(|state| state.token = Some(token));
    }

    /// Lets sessions go on and asks new ones for another token.
    pub fn replace(&self, token: Token) {
        self.open(token);
    }

    /// Lets sessions go on and admits no new ones.
    pub fn close(&self) {
        self.state.send_modify(|state| state.token = None);
    }

    /// How long the present life lasts.
    pub fn age(&self) -> Duration {
        self.state.borrow().began.elapsed()
    }

    /// The life that a session belongs to, if what it shows is the token.
    pub fn admit(&self, shown: &str) -> Option<Life> {
        let shown = Token::parse(shown)?;
        let mut state = self.state.subscribe();
        let now = state.borrow_and_update();
        let number = now.life;
        if !now.token?.is_same(&shown) {
            return None;
        }
        drop(now);
        Some(Life { number, state })
    }
}

/// A life of the machine, for a session to end with.
#[derive(Clone)]
pub struct Life {
    number: u64,
    state: watch::Receiver<State>,
}

impl Life {
    /// Returns when it is over.
    pub async fn ended(&mut self) {
        // An error means that the agent itself is ending.
        let _unused = self.state.wait_for(|state| state.life != self.number).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(digit: &str) -> String {
        digit.repeat(64)
    }

    #[tokio::test]
    async fn a_life_ends_with_a_restore_only() {
        let access = Access::default();
        assert!(access.admit(&token("0")).is_none());
        access.open(Token::parse(&token("a")).unwrap());
        assert!(access.admit(&token("b")).is_none());
        assert!(access.admit("").is_none());
        let mut life = access.admit(&token("a")).unwrap();

        access.replace(Token::parse(&token("b")).unwrap());
        access.close();
        assert!(access.admit(&token("b")).is_none());
        tokio::select! {
            biased;
            () = life.ended() => panic!("the life ended without a restore"),
            () = std::future::ready(()) => {}
        }

        access.suspend();
        assert!(access.admit(&token("b")).is_none());
        life.ended().await;
    }

    #[test]
    fn tokens_are_compared_whole() {
        let base = Token([7; TOKEN_BYTES]);
        assert!(base.is_same(&Token([7; TOKEN_BYTES])));
        for index in 0..TOKEN_BYTES {
            let mut other = base;
            other.0[index] ^= 1;
            assert!(!base.is_same(&other), "{index}");
        }
    }
}
