//! What the processes of a live app say while they run, without the secrets of its environment.
//!
//! [`open`] finds where the app is live and what may be asked for, and `lines` reads it there:
//! `secrets` knows what is hidden, `seams` hides it in lines that came in parts, and `follow` goes
//! on with the next deployment. What is said is kept by the app's sandbox, and nowhere else.

mod follow;
mod lines;
mod open;
mod processes;
mod seams;
mod secrets;

pub use open::RunLog;
pub(crate) use open::open;
