//! The CLAP entry point: nice-plug's plug-in, and what it does not do. The host is told that the
//! project has changed (`clap.state`) and of parameters that the plug-in changes by itself, and a
//! state that cannot be read is noted.
//!
//! The host holds a `clap_plugin` of ours with nice-plug's data and functions; a few functions are
//! our own and call nice-plug's.

use std::{
    ffi::{CStr, c_char, c_void},
    ptr,
    sync::{Arc, OnceLock},
};

use clap_sys::{
    entry::clap_plugin_entry,
    events::{
        CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_IS_LIVE, CLAP_EVENT_PARAM_VALUE, clap_event_header,
        clap_event_param_value, clap_input_events, clap_output_events,
    },
    ext::{
        params::{CLAP_EXT_PARAMS, clap_host_params, clap_plugin_params},
        state::{CLAP_EXT_STATE, clap_host_state, clap_plugin_state},
    },
    factory::plugin_factory::{CLAP_PLUGIN_FACTORY_ID, clap_plugin_factory},
    host::clap_host,
    plugin::{clap_plugin, clap_plugin_descriptor},
    process::{CLAP_PROCESS_ERROR, clap_process, clap_process_status},
    stream::clap_istream,
    version::CLAP_VERSION,
};
use nice_plug::wrapper::{
    clap::{PluginDescriptor, Wrapper},
    setup_logger,
};

use super::{HostLink, Told};
use crate::Interlude;

/// The entry point of the library.
#[unsafe(no_mangle)]
#[used]
pub static clap_entry: clap_plugin_entry = clap_plugin_entry {
    clap_version: CLAP_VERSION,
    init: Some(init),
    deinit: Some(deinit),
    get_factory: Some(get_factory),
};

static FACTORY: clap_plugin_factory = clap_plugin_factory {
    get_plugin_count: Some(get_plugin_count),
    get_plugin_descriptor: Some(get_plugin_descriptor),
    create_plugin: Some(create_plugin),
};

fn descriptor() -> &'static PluginDescriptor {
    static DESCRIPTOR: OnceLock<PluginDescriptor> = OnceLock::new();
    DESCRIPTOR.get_or_init(PluginDescriptor::for_plugin::<Interlude>)
}

unsafe extern "C" fn init(_path: *const c_char) -> bool {
    setup_logger::<Interlude>();
    true
}

unsafe extern "C" fn deinit() {}

unsafe extern "C" fn get_factory(id: *const c_char) -> *const c_void {
    // SAFETY: the host gives a terminated string.
    if !id.is_null() && unsafe { CStr::from_ptr(id) } == CLAP_PLUGIN_FACTORY_ID {
        (&raw const FACTORY).cast()
    } else {
        ptr::null()
    }
}

unsafe extern "C" fn get_plugin_count(_factory: *const clap_plugin_factory) -> u32 {
    1
}

unsafe extern "C" fn get_plugin_descriptor(
    _factory: *const clap_plugin_factory,
    index: u32,
) -> *const clap_plugin_descriptor {
    if index == 0 { descriptor().clap_plugin_descriptor() } else { ptr::null() }
}

unsafe extern "C" fn create_plugin(
    _factory: *const clap_plugin_factory,
    host: *const clap_host,
    id: *const c_char,
) -> *const clap_plugin {
    // SAFETY: the host gives a terminated string.
    if host.is_null() || id.is_null() || unsafe { CStr::from_ptr(id) } != descriptor().clap_id() {
        return ptr::null();
    }
    // nice-plug's `destroy` takes this reference back.
    // SAFETY: the host gives its own structure, which outlives the instance.
    let wrapper = Arc::into_raw(unsafe { Wrapper::<Interlude>::new(host) });
    // SAFETY: the pointer is of the `Arc` above.
    let nice = *unsafe { &*wrapper }.clap_plugin.borrow();
    let Some(link) = HostLink::newest() else { return ptr::null() };
    let address = HostPointer(host);
    link.ask_by(move || address.request_callback());
    let instance = Box::new(Instance {
        plugin: clap_plugin {
            destroy: Some(destroy),
            process: Some(process),
            get_extension: Some(get_extension),
            on_main_thread: Some(on_main_thread),
            ..nice
        },
        nice,
        host,
        link,
        params: OnceLock::new(),
        state: OnceLock::new(),
    });
    // `destroy` takes it back. The plug-in is its first field.
    Box::into_raw(instance).cast()
}

/// The host, which outlives the instance.
struct HostPointer(*const clap_host);

// SAFETY: `request_callback` may be called from any thread.
unsafe impl Send for HostPointer {}

impl HostPointer {
    fn request_callback(&self) {
        // SAFETY: the host lives until `destroy`, which closes the link first.
        if let Some(request) = unsafe { (*self.0).request_callback } {
            // SAFETY: as above; any thread may call it.
            unsafe { request(self.0) };
        }
    }
}

/// What a `clap_plugin` that the host holds is the beginning of.
#[repr(C)]
struct Instance {
    plugin: clap_plugin,
    /// nice-plug's own functions.
    nice: clap_plugin,
    host: *const clap_host,
    link: Arc<HostLink>,
    params: OnceLock<clap_plugin_params>,
    state: OnceLock<clap_plugin_state>,
}

impl Instance {
    /// The instance that a pointer of the host's belongs to.
    ///
    /// # Safety
    /// The pointer is one of [`create_plugin`] that was not destroyed.
    unsafe fn of<'a>(plugin: *const clap_plugin) -> &'a Self {
        // SAFETY: `plugin` is the first field of an `Instance` with C's layout.
        unsafe { &*plugin.cast::<Self>() }
    }

    /// An extension of the host's.
    fn host_extension<T>(&self, id: &CStr) -> Option<&T> {
        // SAFETY: the host outlives the instance, and the structure is what the id stands for.
        unsafe {
            let extension = (*self.host).get_extension?(self.host, id.as_ptr());
            extension.cast::<T>().as_ref()
        }
    }

    /// An extension of nice-plug's.
    fn nice_extension(&self, id: *const c_char) -> *const c_void {
        // SAFETY: nice-plug reads nothing of the plug-in but its data.
        self.nice
            .get_extension
            .map_or(ptr::null(), |get| unsafe { get(&raw const self.plugin, id) })
    }

    /// Tells the host the parameters that the plug-in has changed by itself.
    ///
    /// # Safety
    /// `events` is null or a queue of the host's.
    unsafe fn tell(&self, events: *const clap_output_events, time: u32) {
        // SAFETY: as the caller says.
        let Some((events, push)) =
            unsafe { events.as_ref() }.and_then(|events| Some((events, events.try_push?)))
        else {
            return;
        };
        self.link.tell(|told| {
            let event = value_event(told, time);
            // SAFETY: the queue copies the event.
            unsafe { push(events, &raw const event.header) }
        });
    }
}

fn value_event(told: Told, time: u32) -> clap_event_param_value {
    clap_event_param_value {
        header: clap_event_header {
            size: u32::try_from(size_of::<clap_event_param_value>()).unwrap_or(0),
            time,
            space_id: CLAP_CORE_EVENT_SPACE_ID,
            type_: CLAP_EVENT_PARAM_VALUE,
            flags: CLAP_EVENT_IS_LIVE,
        },
        param_id: told.id,
        cookie: ptr::null_mut(),
        note_id: -1,
        port_index: -1,
        channel: -1,
        key: -1,
        value: told.steps,
    }
}

unsafe extern "C" fn destroy(plugin: *const clap_plugin) {
    // SAFETY: the host gives back what `create_plugin` gave, once.
    let instance = unsafe { Box::from_raw(plugin.cast_mut().cast::<Instance>()) };
    instance.link.close();
    if let Some(destroy) = instance.nice.destroy {
        // SAFETY: nice-plug takes its own reference back.
        unsafe { destroy(&raw const instance.plugin) };
    }
}

unsafe extern "C" fn process(
    plugin: *const clap_plugin,
    process: *const clap_process,
) -> clap_process_status {
    // SAFETY: the host gives an instance of ours.
    let instance = unsafe { Instance::of(plugin) };
    let Some(nice) = instance.nice.process else { return CLAP_PROCESS_ERROR };
    // SAFETY: what the host gives is handed on.
    let status = unsafe { nice(plugin, process) };
    // SAFETY: the host's block is valid during the call.
    let block = unsafe { process.as_ref() };
    if let Some(block) = block.filter(|_| instance.link.has_untold()) {
        // Last in the block: what the plug-in has sent lies before.
        // SAFETY: the block's queue.
        unsafe { instance.tell(block.out_events, block.frames_count.saturating_sub(1)) };
    }
    status
}

unsafe extern "C" fn on_main_thread(plugin: *const clap_plugin) {
    // SAFETY: the host gives an instance of ours.
    let instance = unsafe { Instance::of(plugin) };
    if instance.link.take_changed()
        && let Some(state) = instance.host_extension::<clap_host_state>(CLAP_EXT_STATE)
        && let Some(mark_dirty) = state.mark_dirty
    {
        // SAFETY: this is the main thread.
        unsafe { mark_dirty(instance.host) };
    }
    if instance.link.has_untold()
        && let Some(params) = instance.host_extension::<clap_host_params>(CLAP_EXT_PARAMS)
        && let Some(request_flush) = params.request_flush
    {
        // SAFETY: any thread but the audio thread may call it.
        unsafe { request_flush(instance.host) };
    }
    if let Some(nice) = instance.nice.on_main_thread {
        // SAFETY: what the host asks is handed on.
        unsafe { nice(plugin) };
    }
}

unsafe extern "C" fn get_extension(plugin: *const clap_plugin, id: *const c_char) -> *const c_void {
    // SAFETY: the host gives an instance of ours.
    let instance = unsafe { Instance::of(plugin) };
    let nice = instance.nice_extension(id);
    if nice.is_null() {
        return nice;
    }
    // SAFETY: nice-plug knew the id, so it is a terminated string.
    let id = unsafe { CStr::from_ptr(id) };
    if id == CLAP_EXT_PARAMS {
        // SAFETY: nice-plug gives the structure that the id stands for.
        let nice = unsafe { *nice.cast::<clap_plugin_params>() };
        let own = clap_plugin_params { flush: Some(flush), ..nice };
        ptr::from_ref(instance.params.get_or_init(|| own)).cast()
    } else if id == CLAP_EXT_STATE {
        // SAFETY: nice-plug gives the structure that the id stands for.
        let nice = unsafe { *nice.cast::<clap_plugin_state>() };
        let own = clap_plugin_state { load: Some(load), ..nice };
        ptr::from_ref(instance.state.get_or_init(|| own)).cast()
    } else {
        nice
    }
}

unsafe extern "C" fn flush(
    plugin: *const clap_plugin,
    events: *const clap_input_events,
    out: *const clap_output_events,
) {
    // SAFETY: the host gives an instance of ours.
    let instance = unsafe { Instance::of(plugin) };
    // SAFETY: nice-plug gives the structure that the id stands for.
    let nice = unsafe {
        instance.nice_extension(CLAP_EXT_PARAMS.as_ptr()).cast::<clap_plugin_params>().as_ref()
    };
    if let Some(flush) = nice.and_then(|nice| nice.flush) {
        // SAFETY: what the host gives is handed on.
        unsafe { flush(plugin, events, out) };
    }
    // SAFETY: the host's queue.
    unsafe { instance.tell(out, 0) };
}

unsafe extern "C" fn load(plugin: *const clap_plugin, stream: *const clap_istream) -> bool {
    // SAFETY: the host gives an instance of ours.
    let instance = unsafe { Instance::of(plugin) };
    // SAFETY: nice-plug gives the structure that the id stands for.
    let nice = unsafe {
        instance.nice_extension(CLAP_EXT_STATE.as_ptr()).cast::<clap_plugin_state>().as_ref()
    };
    // SAFETY: what the host gives is handed on.
    let loaded =
        nice.and_then(|nice| nice.load).is_some_and(|load| unsafe { load(plugin, stream) });
    if !loaded {
        instance.link.state_refused();
    }
    loaded
}
