//! Several questions at the same time, none of which may hold up the answers of the others.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// Questions under way at any moment.
const WIDTH: usize = 16;

/// Does `work` for each job; those that have not come back `within` this time are `None`. A thread that
/// hangs is left behind: it ends with its own question, or with the worker.
pub fn all<J: Send + 'static, A: Send + 'static>(
    jobs: Vec<J>,
    within: Duration,
    work: fn(J) -> A,
) -> Vec<Option<A>> {
    let deadline = Instant::now() + within;
    let count = jobs.len();
    let queue = Arc::new(Mutex::new(jobs.into_iter().enumerate()));
    let (say, hear) = mpsc::channel();
    for _ in 0..WIDTH.min(count) {
        let (queue, say) = (Arc::clone(&queue), say.clone());
        std::thread::spawn(move || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some((number, job)) = next() {
                // Nobody listens any more when the time is over.
                if say.send((number, work(job))).is_err() {
                    return;
                }
            }
        });
    }
    drop(say);
    let mut answers: Vec<_> = (0..count).map(|_| None).collect();
    let left = || deadline.saturating_duration_since(Instant::now());
    while let Ok((number, answer)) = hear.recv_timeout(left()) {
        answers[number] = Some(answer);
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_their_questions_and_a_late_one_is_missing() {
        let slow = |millis: u64| {
            std::thread::sleep(Duration::from_millis(millis));
            millis
        };
        let answers = all(vec![60, 0, 60_000, 30], Duration::from_secs(2), slow);
        assert_eq!(answers, [Some(60), Some(0), None, Some(30)]);
        let many = all((0..100).collect(), Duration::from_secs(5), |n: u32| n);
        assert!(many.into_iter().eq((0..100).map(Some)));
    }
}
