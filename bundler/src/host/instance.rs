//! One plug-in instance: parameters, state, activation, and single blocks.

use std::{
    cell::Cell,
    ffi::CString,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use clack_extensions::{
    latency::PluginLatency,
    note_ports::{NoteDialect, NoteDialects, NotePortInfoBuffer, PluginNotePorts},
    params::{
        HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags,
        ParamInfoBuffer, ParamRescanFlags, PluginParams,
    },
    render::{PluginRender, RenderMode},
    state::{HostState, HostStateImpl, PluginState},
};
use clack_host::{
    events::event_types::TransportEvent, prelude::*, process::StartedPluginAudioProcessor,
    utils::ClapId,
};

use super::{EventKind, HostError};

/// Host side of an instance that all its threads may call.
#[derive(Default)]
pub(super) struct Shared {
    callback_requested: AtomicBool,
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {}

    fn request_process(&self) {}

    fn request_callback(&self) {
        self.callback_requested.store(true, Ordering::Release);
    }
}

impl HostParamsImplShared for Shared {
    // Each block takes the plug-in's values, and none comes while it is inactive.
    fn request_flush(&self) {}
}

/// Host side of an instance on the main thread.
#[derive(Default)]
pub(super) struct MainThread {
    /// How often the plug-in has said that its state has changed.
    marks: Cell<u32>,
}

impl MainThreadHandler<'_> for MainThread {}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _flags: ParamRescanFlags) {}

    fn clear(&self, _id: ClapId, _flags: ParamClearFlags) {}
}

impl HostStateImpl for MainThread {
    fn mark_dirty(&self) {
        self.marks.set(self.marks.get() + 1);
    }
}

/// Ties the host's types together for clack.
pub(super) struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _shared: &Self::Shared<'_>) {
        builder.register::<HostParams>().register::<HostState>();
    }
}

/// How a plug-in is activated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Frames in a second.
    pub sample_rate: f64,
    /// Largest block in frames, `>= 1`.
    pub block: u32,
    /// Whether the plug-in may render offline (a bounce) instead of in real time.
    pub offline: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sample_rate: 48_000.0, block: 512, offline: false }
    }
}

/// A parameter as the plug-in describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// CLAP id, for [`Input::Parameter`](super::Input::Parameter).
    pub id: u32,
    /// Display name.
    pub name: String,
    /// Smallest CLAP value.
    pub minimum: f64,
    /// Largest CLAP value.
    pub maximum: f64,
    /// CLAP value of a fresh instance.
    pub default: f64,
}

/// Dialects of a note port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotePort {
    /// Whether CLAP note events are understood.
    pub clap: bool,
    /// Whether raw MIDI is understood.
    pub midi: bool,
    /// Whether CLAP note events are preferred.
    pub prefers_clap: bool,
}

/// Output of one block.
#[derive(Debug, Default)]
pub struct Block {
    /// Events in order, each with its frame in the block.
    pub events: Vec<(u32, EventKind)>,
    /// Wall-clock time of the `process` call alone.
    pub elapsed: Duration,
}

/// One instance of a plug-in. Dropping it deactivates and destroys it.
pub struct Instance {
    plugin: PluginInstance<Handlers>,
    audio: Option<StartedPluginAudioProcessor<Handlers>>,
    parameters: Vec<Parameter>,
    settings: Settings,
    output: EventBuffer,
    channels: [Vec<f32>; 2],
    ports: AudioPorts,
    frames: u64,
}

impl Instance {
    pub(super) fn new(mut plugin: PluginInstance<Handlers>) -> Self {
        let parameters = read_parameters(&mut plugin.plugin_handle());
        let settings = Settings::default();
        Self {
            plugin,
            audio: None,
            parameters,
            settings,
            output: EventBuffer::with_capacity(1024),
            channels: [Vec::new(), Vec::new()],
            ports: AudioPorts::with_capacity(2, 1),
            frames: 0,
        }
    }

    /// All parameters, in the plug-in's order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The parameter with this name.
    ///
    /// # Errors
    /// [`HostError::UnknownParameter`] lists the names there are.
    pub fn parameter(&self, name: &str) -> Result<&Parameter, HostError> {
        self.parameters.iter().find(|parameter| parameter.name == name).ok_or_else(|| {
            let names: Vec<_> = self.parameters.iter().map(|p| p.name.as_str()).collect();
            HostError::UnknownParameter { name: name.to_owned(), known: names.join(", ") }
        })
    }

    /// Latency in samples, as the plug-in reports it.
    pub fn latency(&mut self) -> u32 {
        let handle = self.plugin.plugin_handle();
        handle.get_extension::<PluginLatency>().map_or(0, |latency| latency.get(&handle))
    }

    /// The note ports for input or output.
    pub fn note_ports(&mut self, is_input: bool) -> Vec<NotePort> {
        let handle = self.plugin.plugin_handle();
        let Some(ports) = handle.get_extension::<PluginNotePorts>() else { return Vec::new() };
        let mut buffer = NotePortInfoBuffer::new();
        (0..ports.count(&handle, is_input))
            .filter_map(|index| {
                let info = ports.get(&handle, index, is_input, &mut buffer)?;
                Some(NotePort {
                    clap: info.supported_dialects.contains(NoteDialects::CLAP),
                    midi: info.supported_dialects.contains(NoteDialects::MIDI),
                    prefers_clap: info.preferred_dialect == Some(NoteDialect::Clap),
                })
            })
            .collect()
    }

    /// The current CLAP value of a parameter.
    ///
    /// # Errors
    /// [`HostError::UnknownParameter`], or [`HostError::Refused`] when the plug-in has no answer.
    pub fn value(&mut self, name: &str) -> Result<f64, HostError> {
        let id = self.parameter(name)?.id;
        let handle = self.plugin.plugin_handle();
        let extension = handle.get_extension::<PluginParams>();
        extension
            .zip(ClapId::from_raw(id))
            .and_then(|(params, id)| params.get_value(&handle, id))
            .ok_or_else(|| refused("tell a parameter's value", name))
    }

    /// The CLAP value that the plug-in reads from a text such as `0.2`.
    ///
    /// CLAP values are the plug-in's own scale (often `0..1` with a skew); the text is what users
    /// type.
    ///
    /// # Errors
    /// [`HostError::UnknownParameter`] or [`HostError::Value`].
    pub fn value_of(&mut self, name: &str, text: &str) -> Result<f64, HostError> {
        let id = self.parameter(name)?.id;
        let handle = self.plugin.plugin_handle();
        let extension = handle.get_extension::<PluginParams>();
        let value = CString::new(text)
            .ok()
            .zip(extension)
            .zip(ClapId::from_raw(id))
            .and_then(|((text, params), id)| params.text_to_value(&handle, id, &text));
        value.ok_or_else(|| HostError::Value { name: name.to_owned(), text: text.to_owned() })
    }

    /// The text by which the plug-in shows a CLAP value.
    ///
    /// # Errors
    /// [`HostError::UnknownParameter`] or [`HostError::Value`].
    pub fn text_of(&mut self, name: &str, value: f64) -> Result<String, HostError> {
        let id = self.parameter(name)?.id;
        let handle = self.plugin.plugin_handle();
        let mut buffer = [0; 128];
        let text = handle
            .get_extension::<PluginParams>()
            .zip(ClapId::from_raw(id))
            .and_then(|(params, id)| params.value_to_text(&handle, id, value, &mut buffer).ok())
            .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        text.ok_or_else(|| HostError::Value { name: name.to_owned(), text: value.to_string() })
    }

    /// The plug-in's state as it would be saved in a project.
    ///
    /// # Errors
    /// [`HostError::Refused`].
    pub fn save_state(&mut self) -> Result<Vec<u8>, HostError> {
        let handle = self.plugin.plugin_handle();
        let state = handle
            .get_extension::<PluginState>()
            .ok_or_else(|| refused("save its state", "it has no state extension"))?;
        let mut bytes = Vec::new();
        state
            .save(&handle, &mut bytes)
            .map_err(|error| refused("save its state", &error.to_string()))?;
        Ok(bytes)
    }

    /// How often the plug-in has marked its state as changed since the last call.
    pub fn take_marks(&mut self) -> u32 {
        self.plugin.access_handler(|main| main.marks.take())
    }

    /// Gives the plug-in a state from [`Instance::save_state`].
    ///
    /// # Errors
    /// [`HostError::Refused`] when the plug-in does not accept it.
    pub fn load_state(&mut self, bytes: &[u8]) -> Result<(), HostError> {
        let handle = self.plugin.plugin_handle();
        let state = handle
            .get_extension::<PluginState>()
            .ok_or_else(|| refused("load a state", "it has no state extension"))?;
        let mut reader = bytes;
        let result = state.load(&handle, &mut reader);
        self.idle();
        result.map_err(|error| refused("load a state", &error.to_string()))
    }

    /// Activates the plug-in and starts processing; an active one is restarted.
    ///
    /// # Errors
    /// [`HostError::Refused`].
    pub fn activate(&mut self, settings: Settings) -> Result<(), HostError> {
        self.deactivate();
        let mode = if settings.offline { RenderMode::Offline } else { RenderMode::Realtime };
        let handle = self.plugin.plugin_handle();
        if let Some(render) = handle.get_extension::<PluginRender>() {
            render
                .set(&handle, mode)
                .map_err(|error| refused("change the render mode", &error.to_string()))?;
        } else if settings.offline {
            return Err(refused("render offline", "it has no render extension"));
        }
        let configuration = PluginAudioConfiguration {
            sample_rate: settings.sample_rate,
            min_frames_count: 1,
            max_frames_count: settings.block,
        };
        let stopped = self
            .plugin
            .activate(|_, _| (), configuration)
            .map_err(|error| refused("activate", &error.to_string()))?;
        let started = stopped
            .start_processing()
            .map_err(|error| refused("start processing", &error.to_string()))?;
        let frames = usize::try_from(settings.block)
            .map_err(|error| refused("activate", &error.to_string()))?;
        self.channels = [vec![0.0; frames], vec![0.0; frames]];
        self.audio = Some(started);
        self.settings = settings;
        self.idle();
        Ok(())
    }

    /// Stops processing and deactivates the plug-in.
    pub fn deactivate(&mut self) {
        if let Some(audio) = self.audio.take() {
            self.plugin.deactivate(audio.stop_processing());
        }
    }

    /// The settings of the last activation.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Serves the plug-in's request for a call on the main thread, if there is one.
    ///
    /// [`Instance::process`] does so after each block; a host that only waits calls it now and then.
    pub fn idle(&mut self) {
        let requested = self.plugin.access_shared_handler(|shared| {
            shared.callback_requested.swap(false, Ordering::AcqRel)
        });
        if requested {
            self.plugin.call_on_main_thread_callback();
        }
    }

    /// What the last block put out: its first `frames` frames of each channel.
    pub fn audio(&self, frames: usize) -> [&[f32]; 2] {
        self.channels.each_ref().map(|channel| &channel[..frames.min(channel.len())])
    }

    /// Processes one block of `frames` frames, at most the activated block length.
    ///
    /// # Errors
    /// [`HostError::Refused`] when the plug-in is inactive or fails, [`HostError::EventOrder`] when
    /// its events are out of order.
    pub fn process(
        &mut self,
        frames: u32,
        input: &EventBuffer,
        transport: &TransportEvent,
    ) -> Result<Block, HostError> {
        let audio = self.audio.as_mut().ok_or_else(|| refused("process", "it is not active"))?;
        let length = usize::try_from(frames)
            .ok()
            .filter(|length| (1..=self.channels[0].len()).contains(length))
            .ok_or_else(|| refused("process", "the block is empty or longer than activated"))?;
        self.output.clear();
        let buffers = self.channels.iter_mut().map(|channel| &mut channel[..length]);
        let mut outputs = self.ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(buffers),
        }]);
        let input = InputEvents::from_buffer(input);
        let mut output = OutputEvents::from_buffer(&mut self.output);
        let begun = Instant::now();
        let status = audio.process(
            &InputAudioBuffers::empty(),
            &mut outputs,
            &input,
            &mut output,
            Some(self.frames),
            Some(transport),
        );
        let elapsed = begun.elapsed();
        status.map_err(|error| refused("process", &error.to_string()))?;
        self.frames += u64::from(frames);

        let mut events = Vec::new();
        let mut previous = 0;
        for event in self.output.iter() {
            let time = event.header().time();
            if time < previous || time >= frames {
                return Err(HostError::EventOrder { time, previous, frames });
            }
            previous = time;
            events.push((time, EventKind::read(event)));
        }
        self.idle();
        Ok(Block { events, elapsed })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.deactivate();
    }
}

fn refused(action: &'static str, reason: &str) -> HostError {
    HostError::Refused { action, reason: reason.to_owned() }
}

fn read_parameters(handle: &mut PluginMainThreadHandle<'_>) -> Vec<Parameter> {
    let Some(params) = handle.get_extension::<PluginParams>() else { return Vec::new() };
    let count = params.count(handle);
    let mut buffer = ParamInfoBuffer::new();
    let mut parameters = Vec::new();
    for index in 0..count {
        if let Some(info) = params.get_info(handle, index, &mut buffer) {
            parameters.push(Parameter {
                id: info.id.get(),
                name: String::from_utf8_lossy(info.name).into_owned(),
                minimum: info.min_value,
                maximum: info.max_value,
                default: info.default_value,
            });
        }
    }
    parameters
}
