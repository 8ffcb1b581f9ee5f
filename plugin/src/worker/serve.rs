//! What the worker does when it is asked: commands of the editor, requests for patterns, recordings.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use interlude_models::{clip::Clip, tokens::Controls};
use serde_json::json;

use super::{
    Worker,
    files::{self, Loaded},
    ideas::Wanted,
    learning::Learning,
    milliseconds,
    model::Model,
    preferences::Preferences,
    source,
};
use crate::{
    capture::Take,
    link::ToAudio,
    player::{Lane, Pattern, Request},
    resources,
    shared::{Command, PREVIEW},
    slots::SlotId,
    state::Slot,
};

/// Bars of the answers while no model is loaded; the player takes none of them for a cycle of its
/// own length.
const DEFAULT_BARS: u32 = 2;

impl Worker {
    /// Does what the editor asks for.
    pub(super) fn perform(&mut self, command: Command) {
        match command {
            Command::LoadFile(slot, path) => {
                match files::read(&path, self.model.as_ref().map(Model::config)) {
                    Ok(Loaded { clip, controls, warning }) => {
                        let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                        self.fill(slot, clip, controls, source.into_owned());
                        let told = self.shared.status.lock().clip_problem.is_some();
                        if let Some(warning) = warning.filter(|_| !told) {
                            self.problem_with_clip(warning);
                        }
                    }
                    Err(problem) => self.problem_with_clip(problem),
                }
            }
            Command::Export(pattern, path) => {
                let clip = self.shared.status.lock().pattern(pattern).cloned();
                let tempo = self.signals().tempo.load(Ordering::Relaxed);
                let result = match clip {
                    Some(clip) => files::write(&path, &clip, tempo),
                    None => Err("There is no pattern to export yet; let it play first.".to_owned()),
                };
                self.set_clip_problem(result.err());
            }
            Command::Preview(cycle, settings) => {
                let id = PREVIEW;
                let request = Request { id, lane: Lane::One, alone: false, cycle, settings };
                if let Some(clip) = self.model.is_some().then(|| self.make(&request)).flatten() {
                    self.shared.status.lock().show_pattern(id, Arc::new(clip));
                }
            }
            Command::LearnFiles(files) => self.begin_learning(Learning::from_files(files)),
            Command::LearnSlots => {
                let windows = self.windows_of_slots();
                self.begin_learning(Learning::from_windows("A and B", windows));
            }
            Command::StopLearning => self.stop_learning(),
            Command::Draw(slot, number) => {
                self.wanted.retain(|wanted| wanted.slot != slot);
                self.wanted.push_back(Wanted { slot, number, attempt: 0 });
            }
            Command::RememberFolder(folder) => {
                self.prefer(|choices| choices.folder = Some(folder));
            }
            Command::Compute(choice) => {
                self.prefer(|choices| choice.name().clone_into(&mut choices.provider));
                self.choice = choice;
                self.choice_problem = None;
                self.shared.status.lock().provider_choice = choice;
                self.revision = None;
            }
            Command::ListModels => self.shared.status.lock().models = resources::models(),
            Command::Retry => {
                if self.loading.is_none() {
                    self.tried = None;
                    self.revision = None;
                }
            }
        }
    }

    /// Remembers a choice of the user's.
    fn prefer(&self, change: impl FnOnce(&mut Preferences)) {
        if let Some(place) = &self.user_folder {
            Preferences::change(place, change);
        }
    }

    /// A recording has come.
    pub(super) fn take_in(&mut self, take: Box<Take>) {
        let Some(slot) = SlotId::at(take.slot()) else { return };
        self.fill(slot, take.clip(), None, "Captured".to_owned());
        self.signals().count_taken(take.slot());
        self.outbox.push_back(ToAudio::Take(take));
    }

    fn fill(&mut self, slot: SlotId, clip: Clip, controls: Option<Controls>, source: String) {
        self.set_clip_problem(None);
        let content = Slot { clip: Some(clip), source, controls, latent: None };
        self.shared.song.replace(slot, content);
        self.follow_song();
    }

    /// The music that a request asks for; `None` when a newer one makes it needless.
    pub(super) fn make(&mut self, request: &Request) -> Option<Clip> {
        let Some(model) = &mut self.model else { return Some(Clip::default()) };
        let Some(mut point) = source::point(model, &self.points, &request.settings) else {
            return Some(Clip::default());
        };
        model.shaping().apply(&mut point.code, &request.settings.amounts);
        let begun = Instant::now();
        let inbox = &mut self.inbox;
        let mut on_step = |_step: usize| {
            inbox.receive();
            let waits = request.id == PREVIEW && !inbox.work.is_empty();
            if inbox.quits() || waits || inbox.supersedes(request) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        match model.decode(point, request, &mut on_step) {
            Ok(Some(clip)) => {
                let decode_ms = milliseconds(begun);
                self.trace.write(&json!({
                    "event": "decoded",
                    "cycle": request.cycle,
                    "morph": request.settings.position.share(),
                    "decode_ms": decode_ms,
                    "notes": clip.notes.len(),
                }));
                #[expect(clippy::cast_possible_truncation, reason = "a time for the eye")]
                let shown = decode_ms as f32;
                self.shared.status.lock().decode_ms = Some(shown);
                Some(clip)
            }
            Ok(None) => None,
            Err(problem) => {
                self.problem_with_model(problem);
                Some(Clip::default())
            }
        }
    }

    /// Sends a pattern to the audio thread, and shows it.
    pub(super) fn answer(&mut self, request: &Request, clip: Clip) {
        let bars = self.model.as_ref().map_or(DEFAULT_BARS, Model::bars);
        let contents = self.signals().contents.load(Ordering::Acquire);
        let pattern = Pattern::new(request.id, bars, contents, &clip);
        self.shared.status.lock().show_pattern(request.id, Arc::new(clip));
        self.outbox.push_back(ToAudio::Pattern(Box::new(pattern)));
        self.send();
    }
}
