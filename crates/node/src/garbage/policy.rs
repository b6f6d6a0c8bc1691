//! Which of the things that can be made anew go, so that enough of the disk is free: pure.

use std::time::{Duration, SystemTime};

use super::Thing;

/// The places in `things` of those to remove so that `bytes` come free, least recently used
/// first. None goes that is in use or was used within `spared` before `now`, and none of
/// which nothing comes free. Where all that may go is not enough, all of it goes: the disk
/// is short for what cannot be made anew.
pub(super) fn choose(
    things: &[Thing],
    bytes: u64,
    now: SystemTime,
    spared: Duration,
) -> Vec<usize> {
    let may_go = |thing: &Thing| {
        // Of a time to come, where the clock was set: as good as now.
        let idle = now.duration_since(thing.last_use).unwrap_or_default();
        !thing.is_used && thing.bytes > 0 && idle >= spared
    };
    let mut chosen: Vec<usize> =
        (0..things.len()).filter(|place| may_go(&things[*place])).collect();
    chosen.sort_by_key(|place| things[*place].last_use);
    let mut freed = 0u64;
    chosen
        .into_iter()
        .take_while(|place| {
            let is_short = freed < bytes;
            freed = freed.saturating_add(things[*place].bytes);
            is_short
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn thing(bytes: u64, last_use: u64, is_used: bool) -> Thing {
        Thing { name: String::new(), bytes, last_use: at(last_use), is_used }
    }

    #[test]
    fn the_oldest_go_until_it_is_enough_and_what_is_in_use_stays() {
        let things = [
            thing(10, 5, false),
            thing(10, 1, true),
            thing(10, 3, false),
            thing(0, 2, false),
            thing(10, 4, false),
        ];
        let all = |bytes| choose(&things, bytes, at(9), Duration::ZERO);
        assert_eq!(all(0), [0; 0]);
        assert_eq!(all(1), [2]);
        assert_eq!(all(11), [2, 4]);
        assert_eq!(all(u64::MAX), [2, 4, 0]);
        let spared = |secs| choose(&things, u64::MAX, at(9), Duration::from_secs(secs));
        assert_eq!(spared(5), [2, 4]);
        assert_eq!(spared(7), [0; 0]);
    }

    proptest! {
        #[test]
        fn what_goes_is_enough_or_all_and_no_more_than_that(
            given in prop::collection::vec((0u64..100, 0u64..50, any::<bool>()), 0..20),
            bytes in 0u64..600,
            (now, spared) in (0u64..60, 0u64..60),
        ) {
            let things: Vec<Thing> =
                given.iter().map(|(bytes, used, held)| thing(*bytes, *used, *held)).collect();
            let chosen = choose(&things, bytes, at(now), Duration::from_secs(spared));
            let freed = |places: &[usize]| places.iter().map(|at| things[*at].bytes).sum::<u64>();
            let is_free = |place: &usize| {
                let thing = &things[*place];
                let idle = now.saturating_sub(given[*place].1);
                !thing.is_used && thing.bytes > 0 && idle >= spared
            };
            prop_assert!(chosen.iter().all(is_free));
            let kept: Vec<usize> =
                (0..things.len()).filter(is_free).filter(|at| !chosen.contains(at)).collect();
            // Enough, or all that may go.
            prop_assert!(freed(&chosen) >= bytes || kept.is_empty());
            // None more than is needed.
            if let Some((_, before)) = chosen.split_last() {
                prop_assert!(freed(before) < bytes);
            }
            // Nothing that was used before stays for it, and each goes once.
            for (index, place) in chosen.iter().enumerate() {
                prop_assert!(!chosen[..index].contains(place));
                let last = things[*place].last_use;
                prop_assert!(kept.iter().all(|kept| things[*kept].last_use >= last));
                prop_assert!(chosen[..index].iter().all(|at| things[*at].last_use <= last));
            }
        }
    }
}
