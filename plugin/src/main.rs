//! Interlude as a stand-alone program; see `Interlude --help`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use interlude_plugin::standalone::backend::Wish;
use interlude_plugin::standalone::clock::{Controls, DEFAULT_TEMPO, TEMPOS};
use interlude_plugin::standalone::window::{Beginning, run};

/// Play the music between two MIDI clips, and send the notes to other programs.
///
/// The window has play, tempo and the MIDI ports above the editor; the space bar starts and stops.
/// Interlude makes notes, not sound: connect a synthesiser under "MIDI out", or connect one to the
/// port "Interlude:out" with the tools of your system.
#[derive(Debug, Parser)]
#[command(name = "Interlude", version)]
struct Arguments {
    /// Up to two MIDI files, for the slots A and B [default: the clips that come with Interlude].
    #[arg(num_args = 0..=2, value_name = "FILE")]
    clips: Vec<PathBuf>,
    /// Beats per minute, 20 to 300.
    #[arg(long, value_name = "BPM", default_value_t = DEFAULT_TEMPO, value_parser = tempo)]
    tempo: f64,
    /// Start playing at once.
    #[arg(long)]
    play: bool,
    /// Scale of the window, 0.5 to 4 [default: the desktop's].
    #[arg(long, value_name = "FACTOR", value_parser = scale)]
    scale: Option<f64>,
    /// Back end of MIDI and clock.
    #[arg(long, value_enum, default_value_t = Midi::Auto)]
    midi: Midi,
    /// Connect the input to the first port with this text in its name.
    #[arg(long, value_name = "NAME")]
    midi_in: Option<String>,
    /// Connect the output to the first port with this text in its name.
    #[arg(long, value_name = "NAME")]
    midi_out: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Midi {
    /// JACK where a server runs, otherwise the system's MIDI.
    Auto,
    /// A JACK server or PipeWire; exact to the sample.
    Jack,
    /// The system's MIDI: ALSA, CoreMIDI, Windows; timed by the computer's clock.
    System,
    /// No MIDI; the music is only displayed.
    None,
}

fn tempo(text: &str) -> Result<f64, String> {
    within(text, *TEMPOS.start(), *TEMPOS.end())
}

fn scale(text: &str) -> Result<f64, String> {
    within(text, 0.5, 4.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a number from {least} to {most} is needed"))
}

impl From<Arguments> for Beginning {
    fn from(arguments: Arguments) -> Self {
        Self {
            clips: arguments.clips,
            tempo: arguments.tempo,
            plays: arguments.play,
            scale: arguments.scale,
            backend: match arguments.midi {
                Midi::Auto => Wish::Auto,
                Midi::Jack => Wish::Jack,
                Midi::System => Wish::System,
                Midi::None => Wish::None,
            },
            ports: [arguments.midi_in, arguments.midi_out],
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(missing) = arguments.clips.iter().find(|clip| !clip.is_file()) {
        eprintln!("error: there is no file {}", missing.display());
        return ExitCode::FAILURE;
    }
    let controls = Arc::new(Controls::default());
    let stopped = Arc::clone(&controls);
    let handled = ctrlc::set_handler(move || {
        stopped.play(false);
        stopped.silence();
        std::process::exit(130);
    });
    if let Err(error) = handled {
        eprintln!("Ctrl-C will end the program without ending its notes ({error})");
    }
    match run(&arguments.into(), &controls) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Beginning, String> {
        Arguments::try_parse_from([&["Interlude"], arguments].concat())
            .map(Beginning::from)
            .map_err(|error| error.to_string())
    }

    /// Without arguments the program begins as it does by itself, and each argument says one thing.
    #[test]
    fn arguments_say_how_it_begins() {
        Arguments::command().debug_assert();
        assert_eq!(parse(&[]).unwrap(), Beginning::default());
        let beginning = parse(&[
            "a.mid",
            "b.mid",
            "--tempo",
            "93.5",
            "--play",
            "--scale",
            "2",
            "--midi",
            "jack",
            "--midi-in",
            "keys",
            "--midi-out",
            "synth",
        ]);
        let expected = Beginning {
            clips: vec!["a.mid".into(), "b.mid".into()],
            tempo: 93.5,
            plays: true,
            scale: Some(2.0),
            backend: Wish::Jack,
            ports: [Some("keys".to_owned()), Some("synth".to_owned())],
        };
        assert_eq!(beginning.unwrap(), expected);
    }

    /// What is out of range, or one file too many, is refused with what would be right.
    #[test]
    fn wrong_arguments_are_told() {
        for (arguments, word) in [
            (&["--tempo", "0"][..], "20 to 300"),
            (&["--tempo", "fast"], "20 to 300"),
            (&["--scale", "NaN"], "0.5 to 4"),
            (&["--scale", "40"], "0.5 to 4"),
            (&["--midi", "oss"], "jack"),
            (&["a", "b", "c"], "no more"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(word), "{arguments:?}: {error}");
        }
    }
}
