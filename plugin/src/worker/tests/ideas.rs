//! New ideas, learned priors and styles, turn by turn.

use super::*;

/// A request that comes while a style is learnt is answered in the very next turn, at every stage of
/// the learning; the style then belongs to the model, and files that cannot be read are told.
#[test]
fn requests_come_before_learning() {
    let mut steps = Steps::new("learning");
    let noise = steps.folder.0.join("noise.mid");
    fs::write(&noise, b"no music").expect("written");
    let files = vec![steps.tune("one.mid", 60), noise, steps.tune("two.mid", 64)];
    steps.perform(Command::LearnFiles(files));
    let settings = Settings::at(0.5);
    let (mut turns, mut last) = (0, 0.0);
    while let Some(share) = steps.learning() {
        assert!((last..=1.0).contains(&share), "{share} after {last}");
        last = share;
        turns += 1;
        if turns % 7 == 0 {
            let request = Request { id: turns, lane: Lane::One, alone: false, cycle: 3, settings };
            assert!(steps.audio.request(&request));
            assert!(steps.worker.turn());
            let answer = steps.audio.answer().expect("an answer within one turn");
            assert_eq!((answer.id(), steps.learning()), (turns, Some(share)));
            steps.audio.discard(answer);
        }
        assert!(steps.worker.turn());
    }
    assert!(turns > 600, "{turns} turns are fewer than steps of training");
    steps.worker.turn();
    let message = steps.worker.shared.status.lock().message().expect("a message");
    assert!(message.contains("noise.mid"), "{message}");
    let style = steps.worker.shared.song.read(|state| state.style.clone()).expect("a style");
    assert_eq!((style.source.as_str(), style.personal.latent_size()), ("3 files", 6));
    assert!(steps.worker.shared.status.lock().style_fits);
}

/// A new idea is drawn from the prior, or from the style when it fits the model; it fills its slot
/// and can be undone. A request that comes first is answered first.
#[test]
fn ideas_fill_their_slots() {
    let mut steps = Steps::new("ideas");
    let slot = |steps: &Steps| steps.worker.shared.song.read(|state| state.slots[1].clone());
    steps.perform(Command::Draw(SlotId::B, 99));
    while steps.worker.turn() {}
    let drawn = slot(&steps);
    assert_eq!(drawn.source, "New idea");
    assert_eq!(drawn.clip.expect("a clip").notes.len(), 32);
    assert_eq!(drawn.latent.expect("a code").mu, prior(99, 0, 6));

    let files = vec![steps.tune("one.mid", 60)];
    steps.perform(Command::LearnFiles(files));
    while steps.worker.turn() {}
    steps.perform(Command::Draw(SlotId::B, 99));
    let settings = Settings::at(1.0);
    let request = Request { id: 5, lane: Lane::One, alone: false, cycle: 0, settings };
    assert!(steps.audio.request(&request));
    assert!(steps.worker.turn());
    assert_eq!(steps.audio.answer().map(|answer| answer.id()), Some(5));
    assert_eq!(slot(&steps).source, "New idea");
    while steps.worker.turn() {}
    let style = steps.worker.shared.song.read(|state| state.style.clone()).expect("a style");
    let mine = slot(&steps);
    assert_eq!((style.source.as_str(), mine.source.as_str()), ("one", "Your style"));
    assert_eq!(mine.latent.expect("a code").mu, style.personal.sample(99, 0, 1.0));
    steps.worker.shared.song.undo(SlotId::B);
    assert_eq!(slot(&steps).source, "New idea");
}

/// A learned prior for codes of 6 numbers of the model of [`Steps`], with weights that were drawn.
fn learned() -> Flow {
    let conditions = Conditions::new(Vec::new(), 6).expect("sound");
    let drawn = std::cell::Cell::new(0);
    let mut weights = flow::sizes(6, &conditions, 12, 1).initial(&mut |values| {
        drawn.set(drawn.get() + 1);
        values.copy_from_slice(&prior(1, drawn.get(), values.len()));
    });
    let last = weights.0.get_mut("output/kernel").expect("a kernel");
    last.data = prior(1, 0, last.data.len()).into_iter().map(|value| value / 4.0).collect();
    let space = "cat-mel_2bar_small".to_owned();
    Flow::new(space, conditions, vec![vec![]], 6, weights).expect("a prior").rounded()
}

/// New ideas come from the learned prior of the model, and what lies between two slots from their
/// noise; the slots' own codes stay what they are.
#[test]
fn a_learned_prior_is_used() {
    let add = |model: &Path| learned().write(&model.join(flow::FILE)).expect("written");
    let mut steps = Steps::with("learned", add);
    assert_eq!(steps.worker.shared.status.lock().message(), None);
    let model = steps.worker.model.as_mut().expect("a model");
    let mut known = learned().start(model.runtime()).expect("it starts");
    let idea = known.samples(99, &[0], &[], learned().guidance()).expect("a code").remove(0);
    let codes = [prior(5, 0, 6), prior(5, 1, 6)];
    let mut points: [Option<Point>; SLOTS] = Default::default();
    for (point, code) in points.iter_mut().zip(&codes) {
        *point = Some(Point { code: code.clone(), controls: None, windows: Vec::new() });
    }
    // The share of the way from the first slot to the second.
    let mut at = |share: f32| {
        let settings = Settings::at(share * SlotId::B.place());
        source::point(model, &points, &settings).expect("a point").code
    };
    assert_eq!([at(0.0), at(1.0)], codes);
    let [a, b] = codes.each_ref().map(|code| known.origin(code).expect("an origin"));
    let middle = known.visit(&[Place::between(&a, &b, 0.5)]).expect("a code").remove(0);
    assert_eq!(at(0.5), middle);
    assert_ne!(middle, slerp(&codes[0], &codes[1], 0.5));

    steps.perform(Command::Draw(SlotId::B, 99));
    while steps.worker.turn() {}
    let drawn = steps.worker.shared.song.read(|state| state.slots[1].clone());
    assert_eq!(drawn.latent.expect("a code").mu, idea);
}

/// Attribute vectors, a constraint actor and a learned prior that are damaged are each told with the file
/// and the remedy, and the model plays without them.
#[test]
fn what_is_damaged_beside_a_model_is_told() {
    let files = [
        (attributes::FILE, "interlude attributes"),
        (constraint::FILE, "interlude constrain"),
        (flow::FILE, "interlude prior"),
    ];
    for damaged in [&files[..1], &files[1..2], &files[2..], &files[..]] {
        let add = |model: &Path| {
            for (file, _) in damaged {
                fs::write(model.join(file), b"no tensors").expect("written");
            }
        };
        let mut steps = Steps::with("damaged", add);
        let message = steps.worker.shared.status.lock().message().expect("a message");
        for (file, remedy) in damaged {
            assert!(message.contains(file) && message.contains(remedy), "{message}");
        }
        assert!(!steps.worker.shared.status.lock().attributes.contains(&true));
        let model = steps.worker.model.as_mut().expect("a model");
        assert_eq!(model.idea(99, 0), prior(99, 0, 6));
    }
}

/// Learning can be stopped, learns from the slots, and says when there is nothing to learn from.
#[test]
fn learning_stops_and_starts() {
    let mut steps = Steps::new("stopping");
    steps.perform(Command::LearnSlots);
    while steps.worker.turn() {}
    let message = steps.worker.shared.status.lock().message().expect("a message");
    assert!(message.contains("nothing to learn"), "{message}");

    steps.perform(Command::Draw(SlotId::A, 1));
    while steps.worker.turn() {}
    steps.perform(Command::LearnSlots);
    for _ in 0..50 {
        assert!(steps.worker.turn());
    }
    steps.perform(Command::StopLearning);
    assert!(!steps.worker.turn());
    assert_eq!(steps.learning(), None);
    assert!(steps.worker.shared.song.read(|state| state.style.is_none()));

    steps.perform(Command::LearnSlots);
    while steps.worker.turn() {}
    let source = |state: &crate::state::SongState| state.style.as_ref().map(|s| s.source.clone());
    assert_eq!(steps.worker.shared.song.read(source).as_deref(), Some("A and B"));
}
