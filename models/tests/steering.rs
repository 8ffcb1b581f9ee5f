//! What a decoding keeps to, on small models of every configuration with random weights: whatever
//! the noise, what is kept comes back and nothing else sounds.

mod small;

use interlude_models::clip::STEPS_PER_BAR;
use interlude_models::config::{self, Config};
use interlude_models::engine::{DecodeSettings, EngineError};
use interlude_models::scale::Scale;
use interlude_models::steering::{Kept, Lock, Steering, SteeringError};
use interlude_models::tokens::{Tokens, to_clip};

use small::{Model, decode};

/// Of each step each voice's number: the token, or the bits of the drums that sound.
fn numbers(config: &Config, tokens: &Tokens) -> Vec<u64> {
    match tokens {
        Tokens::Groove(steps) => {
            let bit = |(class, &hit): (usize, &f32)| u64::from(hit > 0.5) << class;
            steps.iter().map(|step| step[..9].iter().enumerate().map(bit).sum()).collect()
        }
        Tokens::Drums(steps) => steps.clone(),
        _ => config.family().ids(tokens).expect("tokens").into_iter().map(u64::from).collect(),
    }
}

/// A number as what it does: 0 nothing, 1 an end, 2 a beginning.
fn events(config: &Config, tokens: &Tokens) -> Vec<u64> {
    let voices = config.family().voices();
    let event = |(index, &number): (usize, &u64)| {
        if voices[index % voices.len()].is_drums { 2 * number.min(1) } else { number.min(2) }
    };
    numbers(config, tokens).iter().enumerate().map(event).collect()
}

/// What begins in each voice, in order.
fn orders(config: &Config, tokens: &Tokens) -> Vec<Vec<u64>> {
    let (numbers, events) = (numbers(config, tokens), events(config, tokens));
    let voices = config.family().voices().len();
    let order = |voice: usize| {
        let steps = (voice..numbers.len()).step_by(voices);
        steps.filter(|&index| events[index] == 2).map(|index| numbers[index]).collect()
    };
    (0..voices).map(order).collect()
}

/// What steering gives: of each of some seeds a pattern and what was made of another code with it.
fn steered(
    name: &str,
    steering: impl Fn(&Config, &Tokens, u64) -> Steering,
) -> Vec<(Config, Tokens, Tokens)> {
    let model = Model::new(name);
    let mut engine = model.engine().expect("loaded");
    let codes = model.codes(6);
    let patterns = decode(&mut engine, &codes[..3], &model.settings(1.0, &[0, 1, 2]));
    let steering = patterns.iter().zip(0..).map(|(it, seed)| steering(&model.config, it, seed));
    let settings =
        DecodeSettings { steering: steering.collect(), ..model.settings(1.0, &[3, 4, 5]) };
    let made = decode(&mut engine, &codes[3..], &settings);
    let greedy = DecodeSettings { temperature: 0.0, ..settings };
    let greedy = decode(&mut engine, &codes[3..], &greedy);
    let both = patterns.iter().cloned().zip(made).chain(patterns.iter().cloned().zip(greedy));
    both.map(|(pattern, made)| (model.config.clone(), pattern, made)).collect()
}

fn keeping(pattern: &Tokens, seed: u64, locks: Vec<Lock>) -> Steering {
    Steering { kept: Some(Kept { pattern: pattern.clone(), locks, seed }), ..Steering::default() }
}

/// Steering that asks for nothing changes no token, in any family.
#[test]
fn free_steering_changes_nothing() {
    for config in config::all() {
        let model = Model::new(&config.name);
        let mut engine = model.engine().expect("loaded");
        let plain = model.settings(1.0, &[0, 1]);
        let free = DecodeSettings { steering: vec![Steering::default(); 2], ..plain.clone() };
        let codes = model.codes(2);
        assert_eq!(decode(&mut engine, &codes, &plain), decode(&mut engine, &codes, &free));
    }
}

/// Kept bars come back token for token (grooves with velocities and timing), and what sounds on from
/// them lasts as long, in every family.
#[test]
fn bars_come_back() {
    for config in config::all() {
        let bars = [0, config.bars() - 1];
        let lock = || Lock::Bars(bars.to_vec());
        for (config, pattern, made) in
            steered(&config.name, |_, it, seed| keeping(it, seed, vec![lock()]))
        {
            let voices = config.family().voices().len();
            let (kept, made_numbers) = (numbers(&config, &pattern), numbers(&config, &made));
            for bar in bars {
                let steps = bar * STEPS_PER_BAR..(bar + 1) * STEPS_PER_BAR;
                let range = steps.start * voices..steps.end * voices;
                assert_eq!(made_numbers[range.clone()], kept[range], "{}", config.name);
                if let (Tokens::Groove(a), Tokens::Groove(b)) = (&pattern, &made) {
                    assert_eq!(a[steps.clone()], b[steps], "{}", config.name);
                }
            }
            let end = 4.0;
            let begun = |tokens| {
                let notes = to_clip(&config, tokens).notes;
                let mut notes: Vec<_> =
                    notes.into_iter().filter(|it| it.start < end - 0.3).collect();
                notes.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.pitch.cmp(&b.pitch)));
                notes
            };
            assert_eq!(begun(&pattern), begun(&made), "{}", config.name);
        }
    }
}

/// A kept rhythm comes back on every step of every voice, and pitches are new.
#[test]
fn rhythm_comes_back() {
    for config in config::all() {
        let steering = |_: &Config, it: &Tokens, seed| keeping(it, seed, vec![Lock::Rhythm(1.0)]);
        let all = steered(&config.name, steering);
        let mut other = false;
        for (config, pattern, made) in &all {
            assert_eq!(events(config, pattern), events(config, made), "{}", config.name);
            other |= numbers(config, pattern) != numbers(config, made);
        }
        assert!(other, "{}", config.name);
    }
}

/// With half of a rhythm kept some steps are free, the same ones for the same seed.
#[test]
fn an_amount_keeps_a_share() {
    let steering = |_: &Config, it: &Tokens, seed| keeping(it, seed, vec![Lock::Rhythm(0.5)]);
    let first = steered("cat-mel_2bar_big", steering);
    assert_eq!(first, steered("cat-mel_2bar_big", steering));
    assert!(first.iter().any(|(config, a, b)| events(config, a) != events(config, b)));
}

/// A kept order of pitches, or of drums that sound together, comes back whole, in every family.
#[test]
fn pitches_come_back_in_order() {
    for config in config::all() {
        let steering = |_: &Config, it: &Tokens, seed| keeping(it, seed, vec![Lock::Pitch(1.0)]);
        for (config, pattern, made) in steered(&config.name, steering) {
            assert_eq!(orders(&config, &pattern), orders(&config, &made), "{}", config.name);
        }
    }
}

/// Kept voices and drums come back, and the others are free.
#[test]
fn parts_come_back() {
    for config in config::all() {
        let family = config.family();
        for (place, voice) in family.voices().iter().enumerate() {
            let (lock, mask) = if voice.is_drums {
                (Lock::Drums(0b101), 0b101)
            } else {
                (Lock::Voices(vec![place]), u64::MAX)
            };
            let steering = |_: &Config, it: &Tokens, seed| keeping(it, seed, vec![lock.clone()]);
            for (config, pattern, made) in steered(&config.name, steering) {
                let voices = config.family().voices().len();
                let own = |tokens| {
                    let numbers = numbers(&config, tokens).into_iter();
                    let own = numbers.skip(place).step_by(voices);
                    own.map(|number| number & mask).collect::<Vec<u64>>()
                };
                assert_eq!(own(&pattern), own(&made), "{} {}", config.name, voice.name);
            }
        }
    }
}

/// Of all families with pitches every note is in the scale and the range, whatever the noise.
#[test]
fn every_note_is_in_key_and_range() {
    let scale: Scale = "D dorian".parse().expect("a scale");
    for config in config::all() {
        let steering = |_: &Config, _: &Tokens, _| Steering {
            scale: Some(scale),
            range: Some(50..=74),
            ..Steering::default()
        };
        for (config, _, made) in steered(&config.name, steering) {
            for note in to_clip(&config, &made).notes {
                let is_drum = note.channel == 9;
                let fits = scale.holds(note.pitch) && (50..=74).contains(&note.pitch);
                assert!(is_drum || fits, "{} {note:?}", config.name);
            }
        }
    }
}

/// Scale and range change which notes begin, not how many: with the same noise notes begin where they
/// begin without.
#[test]
fn a_key_costs_no_notes() {
    let model = Model::new("cat-mel_2bar_big");
    let mut engine = model.engine().expect("loaded");
    let (codes, plain) = (model.codes(40), model.settings(1.0, &(0..40).collect::<Vec<_>>()));
    let narrow = Steering {
        scale: Some("F# minor pentatonic".parse().expect("a scale")),
        range: Some(60..=71),
        ..Steering::default()
    };
    let keyed = DecodeSettings { steering: vec![narrow; 40], ..plain.clone() };
    let count = |tokens: Vec<Tokens>| -> usize {
        tokens.iter().map(|tokens| model.config.family().notes(tokens)).sum()
    };
    let free = count(decode(&mut engine, &codes, &plain));
    let kept = count(decode(&mut engine, &codes, &keyed));
    assert!(free.abs_diff(kept) * 20 < free, "{kept} of {free} notes");
}

/// Where wishes contradict each other the first of them is met, and there is always music.
#[test]
fn contradictions_are_played_as_near_as_can_be() {
    let steering = |config: &Config, it: &Tokens, seed| Steering {
        scale: Some("C# major pentatonic".parse().expect("a scale")),
        range: Some(60..=72),
        ..keeping(
            it,
            seed,
            vec![Lock::Pitch(1.0), Lock::Rhythm(1.0), Lock::Bars(vec![config.bars() - 1])],
        )
    };
    for config in config::all() {
        for (config, pattern, made) in steered(&config.name, steering) {
            assert_eq!(events(&config, &pattern), events(&config, &made), "{}", config.name);
            assert_eq!(orders(&config, &pattern), orders(&config, &made), "{}", config.name);
        }
    }
}

/// What cannot be kept is said with the remedy.
#[test]
fn the_impossible_is_refused() {
    let model = Model::new("cat-mel_2bar_big");
    let mut engine = model.engine().expect("loaded");
    let mut error = |steering: Steering| {
        let settings = DecodeSettings { steering: vec![steering], ..model.settings(1.0, &[0]) };
        let go = &mut |_| std::ops::ControlFlow::Continue(());
        match engine.decode(&model.codes(1), &settings, go).expect_err("refused") {
            EngineError::Steering(error) => error,
            other => panic!("{other}"),
        }
    };
    let melody = Tokens::Melody([vec![41], vec![0; 31]].concat());
    let silent = Tokens::Melody(vec![0; 32]);
    let kept = |pattern, lock| keeping(pattern, 0, vec![lock]);
    let drums = Tokens::Drums(vec![0; 32]);
    assert!(matches!(error(kept(&drums, Lock::Rhythm(1.0))), SteeringError::Pattern { .. }));
    assert!(matches!(error(kept(&silent, Lock::Rhythm(1.0))), SteeringError::Silent));
    let short = Tokens::Melody(vec![0; 16]);
    assert!(matches!(error(kept(&short, Lock::Rhythm(1.0))), SteeringError::Pattern { .. }));
    assert!(matches!(error(kept(&melody, Lock::Bars(vec![2]))), SteeringError::Bar { bar: 3, .. }));
    assert!(matches!(error(kept(&melody, Lock::Voices(vec![1]))), SteeringError::Voice { .. }));
    assert!(matches!(error(kept(&melody, Lock::Drums(1))), SteeringError::Voice { .. }));
    let scale = "C major pentatonic".parse().expect("a scale");
    let narrow = Steering { scale: Some(scale), range: Some(65..=66), ..Steering::default() };
    assert!(error(narrow).to_string().contains("widen the range"));
}
