//! Makes the preview when the audio thread wants one, for its sample rate.

use std::sync::atomic::Ordering;

use super::Worker;
use crate::{
    link::ToAudio,
    resources,
    sound::{FontError, Instrument, font},
};

impl Worker {
    /// Makes the preview, or says why there is none; `false` where there is nothing to do. A rate is
    /// tried once.
    pub(super) fn follow_sound(&mut self) -> bool {
        let rate = self.signals().sound_rate.load(Ordering::Relaxed);
        if rate == 0 || rate == self.sound_rate {
            return false;
        }
        self.sound_rate = rate;
        let problem = match make(rate) {
            Some(Ok(instrument)) => {
                self.outbox.push_back(ToAudio::Sound(Box::new(instrument)));
                self.send();
                None
            }
            Some(Err(error)) => Some(format!(
                "Interlude's own sound cannot be played: {error}. Install Interlude again, or turn \
                 Sound off and let another instrument play the notes."
            )),
            // Without resources there is no model either, and that is told.
            None => None,
        };
        self.shared.status.lock().sound_problem = problem;
        true
    }
}

fn make(rate: u32) -> Option<Result<Instrument, FontError>> {
    let path = resources::sound_font()?;
    Some(font(&path).and_then(|font| Instrument::new(&font, rate)))
}
