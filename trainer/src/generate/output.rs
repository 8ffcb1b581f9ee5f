//! What generation ends with: MIDI files, and JSON about them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use interlude_models::clip::{Clip, Note};
use interlude_models::config::Config;
use interlude_models::engine::Posterior;
use interlude_models::tokens::{Controls, Tokens, to_clip};
use serde::{Deserialize, Serialize};

use super::Settings;
use super::error::GenerateError;
use super::folder::Folder;
use super::input::Input;
use super::velocities::Velocities;

/// Largest file of codes that is read.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// A piece that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Its MIDI file.
    pub file: PathBuf,
    /// Its notes.
    pub clip: Clip,
}

/// Writes pieces as MIDI files, `CONFIG_MODE_TIME-I-of-COUNT.mid` in the folder `out`. Returns them
/// and the folder that they are in.
///
/// # Errors
/// [`GenerateError::File`]; files that were whole by then are kept.
pub fn write_pieces(
    config: &Config,
    mode: &str,
    pieces: &[Tokens],
    velocities: &Velocities,
    out: &Path,
) -> Result<(Vec<Made>, Folder), GenerateError> {
    let folder = Folder::create(out, &format!("{}_{mode}", config.name), pieces.len())?;
    let mut made = Vec::with_capacity(pieces.len());
    for (index, tokens) in pieces.iter().enumerate() {
        let mut clip = to_clip(config, tokens);
        if let Some(dynamics) = velocities.of(index) {
            dynamics.apply(&mut clip);
        }
        let file = folder.write(index, &clip)?;
        made.push(Made { file, clip });
    }
    Ok((made, folder))
}

/// A code to decode.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The latent code.
    pub z: Vec<f32>,
    /// Chords or hits that lie beside it.
    pub controls: Option<Controls>,
}

/// What was made, or encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the model's configuration.
    #[serde(default)]
    pub config: String,
    /// The verb, or the attribute that was changed.
    #[serde(default)]
    pub mode: String,
    /// Seed of the noise; none of codes that were encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Softmax temperature; none of codes that were encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// One for each piece or window.
    pub codes: Vec<Code>,
}

/// A latent code and what it comes from or became.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Code {
    /// The MIDI file that was encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Which window of it, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// The MIDI file that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The latent code that was decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub z: Option<Vec<f32>>,
    /// Mean of the posterior of what was encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu: Option<Vec<f32>>,
    /// Standard deviation of that posterior, above 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigma: Option<Vec<f32>>,
    /// Chords or hits that the decoder is conditioned on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<Controls>,
    /// Notes of the file that was made, times in beats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<Note>>,
}

impl Report {
    /// Of pieces that were decoded from `codes` under `controls`, one of each for each piece.
    pub fn of_pieces(
        config: &Config,
        mode: &str,
        settings: &Settings,
        made: Vec<Made>,
        codes: &[Vec<f32>],
        controls: &[Option<Controls>],
    ) -> Self {
        let code = |((made, z), controls): ((Made, &Vec<f32>), &Option<Controls>)| Code {
            file: Some(made.file.display().to_string()),
            z: Some(z.clone()),
            controls: controls.clone(),
            notes: Some(made.clip.notes),
            ..Code::default()
        };
        Self {
            config: config.name.clone(),
            mode: mode.to_owned(),
            seed: Some(settings.seed),
            temperature: Some(settings.temperature),
            codes: made.into_iter().zip(codes).zip(controls).map(code).collect(),
        }
    }

    /// Of windows that were encoded.
    pub fn of_inputs(config: &Config, inputs: Vec<Input>, posteriors: Vec<Posterior>) -> Self {
        let code = |(input, posterior): (Input, Posterior)| Code {
            source: Some(input.path.display().to_string()),
            window: Some(input.number),
            mu: Some(posterior.mu),
            sigma: Some(posterior.sigma),
            controls: input.window.controls,
            ..Code::default()
        };
        Self {
            config: config.name.clone(),
            mode: "encode".to_owned(),
            seed: None,
            temperature: None,
            codes: inputs.into_iter().zip(posteriors).map(code).collect(),
        }
    }

    /// The report as JSON in one line.
    ///
    /// # Panics
    /// Never: all of it is numbers, texts and lists.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers, texts and lists become JSON")
    }

    /// Reads a report with at least one code.
    ///
    /// # Errors
    /// [`GenerateError::File`] for a file that cannot be read, [`GenerateError::Codes`] for one that is
    /// too large or holds no codes.
    pub fn read(path: &Path) -> Result<Self, GenerateError> {
        let wrong = |reason: String| GenerateError::Codes { path: path.to_owned(), reason };
        let mut text = Vec::new();
        fs::File::open(path)
            .and_then(|file| file.take(MAX_JSON_BYTES + 1).read_to_end(&mut text))
            .map_err(GenerateError::file("read", path))?;
        if text.len() as u64 > MAX_JSON_BYTES {
            return Err(wrong("is larger than 256 MiB; split it".to_owned()));
        }
        let report: Self = serde_json::from_slice(&text).map_err(|error| {
            wrong(format!("holds no codes as `interlude generate encode` writes them: {error}"))
        })?;
        if report.codes.is_empty() {
            return Err(wrong("holds no code; encode a MIDI file first".to_owned()));
        }
        Ok(report)
    }

    /// The codes to decode, `z` before `mu`, each with the controls that lie beside it. `path` is where
    /// they were read.
    ///
    /// # Errors
    /// [`GenerateError::Codes`] with the number, from 0, of a code that has neither.
    pub fn into_codes(self, path: &Path) -> Result<Vec<Given>, GenerateError> {
        let code = |(index, code): (usize, Code)| match code.z.or(code.mu) {
            Some(z) => Ok(Given { z, controls: code.controls }),
            None => {
                let reason =
                    format!("has neither `z` nor `mu` in code {index}; encode its MIDI file again");
                Err(GenerateError::Codes { path: path.to_owned(), reason })
            }
        };
        self.codes.into_iter().enumerate().map(code).collect()
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;

    use super::*;

    // Files are named after configuration, verb, time, index and count; those of an earlier run in
    // the same second stay, and the later ones take another time.
    #[test]
    fn nothing_is_overwritten() {
        let place = tempfile::tempdir().expect("a folder");
        let out = place.path().join("a/b");
        let config = by_name("cat-mel_2bar_small").expect("known");
        let pieces = vec![Tokens::Melody([&[60 - 19], &[0; 31][..]].concat()); 2];
        let make = || {
            let made = write_pieces(&config, "sample", &pieces, &Velocities::Own, &out);
            made.expect("written")
        };
        let ((first, folder), (second, _)) = (make(), make());
        assert_eq!(fs::read_dir(&out).expect("made").count(), 4);
        let name = first[1].file.file_name().expect("a name").to_str().expect("Unicode");
        assert!(name.starts_with("cat-mel_2bar_small_sample_20"), "{name}");
        assert!(name.ends_with("-001-of-002.mid"), "{name}");
        assert!(folder.pattern().ends_with("-*-of-002.mid"), "{}", folder.pattern());
        assert_ne!(first[0].file, second[0].file);
        assert_eq!(first[0].clip, second[0].clip);
    }

    // A report that is written is read as it was, and gives back its codes with their controls; z
    // comes before mu. Files without codes are refused by name.
    #[test]
    fn codes_survive_their_file() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("codes.json");
        let codes = vec![
            Code { z: Some(vec![1.0]), mu: Some(vec![9.0]), ..Code::default() },
            Code {
                mu: Some(vec![2.0]),
                controls: Some(Controls::Chords(vec![3])),
                ..Code::default()
            },
        ];
        let report = Report {
            config: "cat-mel_2bar_small".to_owned(),
            mode: "encode".to_owned(),
            seed: None,
            temperature: None,
            codes,
        };
        crate::generate::folder::write(&path, report.to_json().as_bytes()).expect("written");
        let read = Report::read(&path).expect("reads");
        assert_eq!(read, report);
        let codes = read.into_codes(&path).expect("codes");
        let chords = Some(Controls::Chords(vec![3]));
        let second = Given { z: vec![2.0], controls: chords };
        assert_eq!(codes, [Given { z: vec![1.0], controls: None }, second]);

        for (text, reason) in [
            ("{}", "holds no codes"),
            ("{\"codes\": []}", "holds no code;"),
            ("MThd", "holds no codes"),
        ] {
            fs::write(&path, text).expect("written");
            let told = Report::read(&path).expect_err(text).to_string();
            assert!(told.contains("codes.json") && told.contains(reason), "{told}");
        }
        fs::write(&path, "{\"codes\": [{\"z\": [1]}, {}]}").expect("written");
        let told = Report::read(&path).expect("a report").into_codes(&path).expect_err("no code");
        assert!(told.to_string().contains("neither `z` nor `mu` in code 1"), "{told}");
    }
}
