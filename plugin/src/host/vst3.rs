//! The VST3 entry point: nice-plug's plug-in, and what it does not do. The host is told that the
//! project has changed (`IComponentHandler2`) and of parameters that the plug-in changes by itself,
//! what a block says of offline rendering is read, and a state that cannot be read is noted.
//!
//! The host holds a component of ours that hands every call on to nice-plug's.

use std::{ffi::c_void, sync::Arc};

use nice_plug::wrapper::{
    setup_logger,
    vst3::{PluginInfo, Wrapper, vst3},
};
use vst3::{
    Class, ComPtr, ComRef, ComWrapper,
    Steinberg::{
        FIDString, FUnknown, IBStream, IPlugView, IPluginBaseTrait, IPluginFactory,
        IPluginFactory2, IPluginFactory2Trait, IPluginFactory3, IPluginFactory3Trait,
        IPluginFactoryTrait, PClassInfo, PClassInfo2, PClassInfoW, PFactoryInfo, TBool, TUID,
        Vst::{
            BusDirection, BusInfo, CString, ChannelContext::IInfoListenerTrait, CtrlNumber,
            IAttributeList, IAudioProcessorTrait, IComponentHandler, IComponentHandler2,
            IComponentHandler2Trait, IComponentHandlerTrait, IComponentTrait, IEditControllerTrait,
            IMidiMappingTrait, INoteExpressionControllerTrait, IProcessContextRequirementsTrait,
            IUnitInfoTrait, IoMode, MediaType, NoteExpressionTypeID, NoteExpressionTypeInfo,
            NoteExpressionValue, ParamID, ParamValue, ParameterInfo, ProcessData,
            ProcessModes_::kOffline, ProcessSetup, ProgramListID, ProgramListInfo, RoutingInfo,
            SpeakerArrangement, String128, TChar, UnitID, UnitInfo,
        },
        int16, int32, kInvalidArgument, kResultOk, tresult, uint32,
    },
};

use super::HostLink;
use crate::Interlude;

/// nice-plug's component and the link of its instance.
struct Component {
    nice: Wrapper<Interlude>,
    link: Option<Arc<HostLink>>,
}

impl Component {
    fn new() -> Self {
        let nice = Wrapper::new();
        Self { nice, link: HostLink::newest() }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.close();
        }
    }
}

impl Class for Component {
    type Interfaces = <Wrapper<Interlude> as Class>::Interfaces;
}

/// Tells the host what there is to tell, on its main thread.
fn tell(handler: &ComPtr<IComponentHandler>, link: &HostLink) {
    if link.take_changed()
        && let Some(handler) = handler.cast::<IComponentHandler2>()
    {
        // SAFETY: the host's object is alive as long as it is referred to.
        unsafe { handler.setDirty(1) };
    }
    link.tell(|told| {
        // SAFETY: as above.
        unsafe {
            handler.beginEdit(told.id);
            handler.performEdit(told.id, told.normalized);
            handler.endEdit(told.id);
        }
        true
    });
}

/// Methods that are nice-plug's, and after `own` those that are not.
macro_rules! hand_on {
    ($interface:ident {
        $(fn $method:ident($($argument:ident: $type:ty),*) -> $result:ty;)*
    } own { $($own:item)* }) => {
        impl $interface for Component {
            $(unsafe fn $method(&self, $($argument: $type),*) -> $result {
                // SAFETY: what the host gives is handed on.
                unsafe { $interface::$method(&self.nice, $($argument),*) }
            })*
            $($own)*
        }
    };
}

hand_on!(IPluginBaseTrait {
    fn initialize(context: *mut FUnknown) -> tresult;
    fn terminate() -> tresult;
} own {});

hand_on!(IComponentTrait {
    fn getControllerClassId(class_id: *mut TUID) -> tresult;
    fn setIoMode(mode: IoMode) -> tresult;
    fn getBusCount(media: MediaType, direction: BusDirection) -> int32;
    fn getBusInfo(media: MediaType, direction: BusDirection, index: int32, info: *mut BusInfo) -> tresult;
    fn getRoutingInfo(input: *mut RoutingInfo, output: *mut RoutingInfo) -> tresult;
    fn activateBus(media: MediaType, direction: BusDirection, index: int32, state: TBool) -> tresult;
    fn setActive(state: TBool) -> tresult;
    fn getState(stream: *mut IBStream) -> tresult;
} own {
    unsafe fn setState(&self, stream: *mut IBStream) -> tresult {
        // SAFETY: what the host gives is handed on.
        let result = unsafe { IComponentTrait::setState(&self.nice, stream) };
        if result != kResultOk && let Some(link) = &self.link {
            link.state_refused();
        }
        result
    }
});

hand_on!(IEditControllerTrait {
    fn setComponentState(stream: *mut IBStream) -> tresult;
    fn setState(stream: *mut IBStream) -> tresult;
    fn getState(stream: *mut IBStream) -> tresult;
    fn getParameterCount() -> int32;
    fn getParameterInfo(index: int32, info: *mut ParameterInfo) -> tresult;
    fn getParamStringByValue(id: ParamID, value: ParamValue, string: *mut String128) -> tresult;
    fn getParamValueByString(id: ParamID, string: *mut TChar, value: *mut ParamValue) -> tresult;
    fn normalizedParamToPlain(id: ParamID, value: ParamValue) -> ParamValue;
    fn plainParamToNormalized(id: ParamID, value: ParamValue) -> ParamValue;
    fn getParamNormalized(id: ParamID) -> ParamValue;
    fn setParamNormalized(id: ParamID, value: ParamValue) -> tresult;
    fn createView(name: FIDString) -> *mut IPlugView;
} own {
    unsafe fn setComponentHandler(&self, handler: *mut IComponentHandler) -> tresult {
        if let Some(link) = &self.link {
            // SAFETY: the host's pointer is null or an object of its.
            match unsafe { ComRef::from_raw(handler) } {
                Some(handler) => {
                    let handler = handler.to_com_ptr();
                    link.tell_by(move |link| tell(&handler, link));
                }
                None => link.tell_nobody(),
            }
        }
        // SAFETY: what the host gives is handed on.
        unsafe { IEditControllerTrait::setComponentHandler(&self.nice, handler) }
    }
});

hand_on!(IAudioProcessorTrait {
    fn setBusArrangements(inputs: *mut SpeakerArrangement, input_count: int32, outputs: *mut SpeakerArrangement, output_count: int32) -> tresult;
    fn getBusArrangement(direction: BusDirection, index: int32, arrangement: *mut SpeakerArrangement) -> tresult;
    fn canProcessSampleSize(size: int32) -> tresult;
    fn getLatencySamples() -> uint32;
    fn setupProcessing(setup: *mut ProcessSetup) -> tresult;
    fn setProcessing(state: TBool) -> tresult;
    fn getTailSamples() -> uint32;
} own {
    unsafe fn process(&self, data: *mut ProcessData) -> tresult {
        // SAFETY: the host's block is valid during the call.
        if let Some(block) = unsafe { data.as_ref() } && let Some(link) = &self.link {
            link.set_mode(i64::from(block.processMode) == i64::from(kOffline));
        }
        // SAFETY: what the host gives is handed on.
        unsafe { IAudioProcessorTrait::process(&self.nice, data) }
    }
});

hand_on!(IMidiMappingTrait {
    fn getMidiControllerAssignment(bus: int32, channel: int16, controller: CtrlNumber, id: *mut ParamID) -> tresult;
} own {});

hand_on!(INoteExpressionControllerTrait {
    fn getNoteExpressionCount(bus: int32, channel: int16) -> int32;
    fn getNoteExpressionInfo(bus: int32, channel: int16, index: int32, info: *mut NoteExpressionTypeInfo) -> tresult;
    fn getNoteExpressionStringByValue(bus: int32, channel: int16, id: NoteExpressionTypeID, value: NoteExpressionValue, string: *mut String128) -> tresult;
    fn getNoteExpressionValueByString(bus: int32, channel: int16, id: NoteExpressionTypeID, string: *const TChar, value: *mut NoteExpressionValue) -> tresult;
} own {});

hand_on!(IProcessContextRequirementsTrait {
    fn getProcessContextRequirements() -> uint32;
} own {});

hand_on!(IUnitInfoTrait {
    fn getUnitCount() -> int32;
    fn getUnitInfo(index: int32, info: *mut UnitInfo) -> tresult;
    fn getProgramListCount() -> int32;
    fn getProgramListInfo(index: int32, info: *mut ProgramListInfo) -> tresult;
    fn getProgramName(list: ProgramListID, index: int32, name: *mut String128) -> tresult;
    fn getProgramInfo(list: ProgramListID, index: int32, attribute: CString, value: *mut String128) -> tresult;
    fn hasProgramPitchNames(list: ProgramListID, index: int32) -> tresult;
    fn getProgramPitchName(list: ProgramListID, index: int32, pitch: int16, name: *mut String128) -> tresult;
    fn getSelectedUnit() -> UnitID;
    fn selectUnit(id: UnitID) -> tresult;
    fn getUnitByBus(media: MediaType, direction: BusDirection, bus: int32, channel: int32, unit: *mut UnitID) -> tresult;
    fn setUnitProgramData(list_or_unit: int32, program: int32, data: *mut IBStream) -> tresult;
} own {});

hand_on!(IInfoListenerTrait {
    fn setChannelContextInfos(list: *mut IAttributeList) -> tresult;
} own {});

/// Says what is in the library, and makes components.
struct Factory(PluginInfo);

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

impl Factory {
    /// Writes what `describe` says of the only class.
    ///
    /// # Safety
    /// `info` is null or has room.
    unsafe fn describe<T>(
        &self,
        index: int32,
        info: *mut T,
        describe: impl Fn(&PluginInfo) -> T,
    ) -> tresult {
        if index != 0 || info.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: as the caller says.
        unsafe { info.write(describe(&self.0)) };
        kResultOk
    }
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        // SAFETY: the host gives room.
        unsafe { self.describe(0, info, PluginInfo::create_factory_info) }
    }

    unsafe fn countClasses(&self) -> int32 {
        1
    }

    unsafe fn getClassInfo(&self, index: int32, info: *mut PClassInfo) -> tresult {
        // SAFETY: the host gives room.
        unsafe { self.describe(index, info, PluginInfo::create_class_info) }
    }

    unsafe fn createInstance(
        &self,
        class: FIDString,
        interface: FIDString,
        object: *mut *mut c_void,
    ) -> tresult {
        if class.is_null() || object.is_null() {
            return kInvalidArgument;
        }
        // SAFETY: the host gives an id of 16 bytes.
        if unsafe { *class.cast::<[u8; 16]>() } != *self.0.cid {
            return kInvalidArgument;
        }
        let component = ComWrapper::new(Component::new());
        let Some(unknown) = component.as_com_ref::<FUnknown>() else { return kInvalidArgument };
        let unknown = unknown.as_ptr();
        // SAFETY: the component is alive; what the host gets holds a reference of its own.
        unsafe { ((*(*unknown).vtbl).queryInterface)(unknown, interface.cast::<TUID>(), object) }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: int32, info: *mut PClassInfo2) -> tresult {
        // SAFETY: the host gives room.
        unsafe { self.describe(index, info, PluginInfo::create_class_info_2) }
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: int32, info: *mut PClassInfoW) -> tresult {
        // SAFETY: the host gives room.
        unsafe { self.describe(index, info, PluginInfo::create_class_info_unicode) }
    }

    unsafe fn setHostContext(&self, _context: *mut FUnknown) -> tresult {
        kResultOk
    }
}

/// The factory of the library.
#[unsafe(no_mangle)]
pub extern "system" fn GetPluginFactory() -> *mut c_void {
    let factory = ComWrapper::new(Factory(PluginInfo::for_plugin::<Interlude>()));
    match factory.to_com_ptr::<IPluginFactory>() {
        Some(factory) => factory.into_raw().cast(),
        None => std::ptr::null_mut(),
    }
}

/// Linux: the library has been loaded.
#[cfg(all(target_family = "unix", not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleEntry(_library: *mut c_void) -> bool {
    setup_logger::<Interlude>();
    true
}

/// Linux: the library is about to be unloaded.
#[cfg(all(target_family = "unix", not(target_os = "macos")))]
#[unsafe(no_mangle)]
pub extern "C" fn ModuleExit() -> bool {
    true
}

/// macOS: the library has been loaded.
#[cfg(target_os = "macos")]
#[unsafe(no_mangle)]
pub extern "C" fn bundleEntry(_bundle: *mut c_void) -> bool {
    setup_logger::<Interlude>();
    true
}

/// macOS: the library is about to be unloaded.
#[cfg(target_os = "macos")]
#[unsafe(no_mangle)]
pub extern "C" fn bundleExit() -> bool {
    true
}

/// Windows: the library has been loaded.
#[cfg(target_os = "windows")]
#[unsafe(no_mangle)]
pub extern "system" fn InitDll() -> bool {
    setup_logger::<Interlude>();
    true
}

/// Windows: the library is about to be unloaded.
#[cfg(target_os = "windows")]
#[unsafe(no_mangle)]
pub extern "system" fn ExitDll() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::{Duration, Instant},
    };

    use parking_lot::Mutex;
    use vst3::Steinberg::{
        IBStream_::IStreamSeekMode_,
        IBStreamTrait,
        Vst::{
            IAudioProcessor, IComponent, IEditController, IMidiMapping, INoteExpressionController,
            IProcessContextRequirements, IUnitInfo,
        },
        int64, kResultFalse,
    };

    use super::*;

    /// A host that keeps what it is told.
    #[derive(Default)]
    struct Host {
        marks: Arc<AtomicU32>,
        edits: Arc<Mutex<Vec<(ParamID, ParamValue)>>>,
    }

    impl Class for Host {
        type Interfaces = (IComponentHandler, IComponentHandler2);
    }

    impl IComponentHandlerTrait for Host {
        unsafe fn beginEdit(&self, _id: ParamID) -> tresult {
            kResultOk
        }

        unsafe fn performEdit(&self, id: ParamID, value: ParamValue) -> tresult {
            self.edits.lock().push((id, value));
            kResultOk
        }

        unsafe fn endEdit(&self, _id: ParamID) -> tresult {
            kResultOk
        }

        unsafe fn restartComponent(&self, _flags: int32) -> tresult {
            kResultOk
        }
    }

    impl IComponentHandler2Trait for Host {
        unsafe fn setDirty(&self, state: TBool) -> tresult {
            assert_eq!(state, 1);
            self.marks.fetch_add(1, Ordering::Relaxed);
            kResultOk
        }

        unsafe fn requestOpenEditor(&self, _name: FIDString) -> tresult {
            kResultFalse
        }

        unsafe fn startGroupEdit(&self) -> tresult {
            kResultFalse
        }

        unsafe fn finishGroupEdit(&self) -> tresult {
            kResultFalse
        }
    }

    /// A project's file.
    struct Stream(Mutex<(Vec<u8>, usize)>);

    impl Class for Stream {
        type Interfaces = (vst3::Steinberg::IBStream,);
    }

    impl IBStreamTrait for Stream {
        unsafe fn read(&self, buffer: *mut c_void, wanted: int32, read: *mut int32) -> tresult {
            let mut stream = self.0.lock();
            let (bytes, at) = &mut *stream;
            let count = usize::try_from(wanted).unwrap_or(0).min(bytes.len() - *at);
            // SAFETY: the reader gives room for what it wants.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes[*at..].as_ptr(), buffer.cast(), count);
                if !read.is_null() {
                    read.write(int32::try_from(count).unwrap_or(0));
                }
            }
            *at += count;
            kResultOk
        }

        unsafe fn write(
            &self,
            _buffer: *mut c_void,
            _count: int32,
            _written: *mut int32,
        ) -> tresult {
            kResultFalse
        }

        unsafe fn seek(&self, to: int64, mode: int32, result: *mut int64) -> tresult {
            let mut stream = self.0.lock();
            let from_end = i64::from(mode) == i64::from(IStreamSeekMode_::kIBSeekEnd);
            stream.1 =
                if from_end { stream.0.len() } else { usize::try_from(to).expect("no way back") };
            let at = int64::try_from(stream.1).unwrap_or(0);
            drop(stream);
            if !result.is_null() {
                // SAFETY: the caller gives room.
                unsafe { result.write(at) };
            }
            kResultOk
        }

        unsafe fn tell(&self, result: *mut int64) -> tresult {
            // SAFETY: the caller gives room.
            unsafe { result.write(int64::try_from(self.0.lock().1).unwrap_or(0)) };
            kResultOk
        }
    }

    /// The host is told of each change in both ways, from the main thread at once, from another one
    /// soon; the parameter is the one that hosts know as "Project changes".
    #[test]
    fn the_host_is_told() {
        let component = ComWrapper::new(Component::new());
        let controller = component.to_com_ptr::<IEditController>().expect("a controller");
        let host = Host::default();
        let (marks, edits) = (Arc::clone(&host.marks), Arc::clone(&host.edits));
        let host = ComWrapper::new(host).to_com_ptr::<IComponentHandler>().expect("a handler");
        // SAFETY: the host lives longer than the component.
        assert_eq!(unsafe { controller.setComponentHandler(host.as_ptr()) }, kResultOk);
        let link = component.link.clone().expect("the instance has a link");
        let song = link.params.song.clone();
        song.swap();
        assert_eq!(marks.load(Ordering::Relaxed), 1);
        let &[(id, value)] = edits.lock().as_slice() else { panic!("one value is told") };
        assert!((value - 1.0 / f64::from(crate::table::CHANGES.max)).abs() < 1e-6);
        // SAFETY: a plain structure of numbers, for which all zeroes are valid.
        let mut info: ParameterInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the component writes into the structure.
        let count = unsafe { controller.getParameterCount() };
        let name = (0..count).find_map(|index| {
            // SAFETY: as above.
            unsafe { controller.getParameterInfo(index, &raw mut info) };
            let end = info.title.iter().position(|letter| *letter == 0)?;
            #[allow(clippy::unnecessary_cast, reason = "the type differs between systems")]
            let title: Vec<u16> = info.title[..end].iter().map(|letter| *letter as u16).collect();
            (info.id == id).then(|| String::from_utf16_lossy(&title))
        });
        assert_eq!(name.as_deref(), Some("Project changes"));

        std::thread::spawn(move || song.swap()).join().expect("no panic");
        let begun = Instant::now();
        while edits.lock().len() < 2 {
            assert!(begun.elapsed() < Duration::from_secs(20), "the host is not told");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(marks.load(Ordering::Relaxed), 2);
        drop((controller, component));
        link.params.song.swap();
        assert_eq!(marks.load(Ordering::Relaxed), 2, "told although the component is gone");
    }

    /// A component that the factory makes has every interface of nice-plug's.
    #[test]
    fn the_factory_makes_components() {
        let factory = GetPluginFactory().cast::<IPluginFactory>();
        // SAFETY: the factory comes with a reference for its caller.
        let factory = unsafe { ComPtr::from_raw(factory) }.expect("a factory");
        let class = <Interlude as nice_plug::prelude::Vst3Plugin>::PLATFORM_VST3_CLASS_ID;
        let mut object: *mut c_void = std::ptr::null_mut();
        let unknown = [0_u8; 16];
        let interface = <IComponent as vst3::Interface>::IID;
        // SAFETY: ids of 16 bytes, and room for a pointer.
        unsafe {
            let iid = (&raw const interface).cast();
            let result = factory.createInstance(unknown.as_ptr().cast(), iid, &raw mut object);
            assert_eq!((result, object.is_null()), (kInvalidArgument, true));
            let result = factory.createInstance(class.as_ptr().cast(), iid, &raw mut object);
            assert_eq!(result, kResultOk);
        }
        // SAFETY: what the factory has made is the host's.
        let component = unsafe { ComPtr::from_raw(object.cast::<IComponent>()) }.expect("made");
        assert!(component.cast::<IEditController>().is_some());
        assert!(component.cast::<IAudioProcessor>().is_some());
        assert!(component.cast::<IMidiMapping>().is_some());
        assert!(component.cast::<INoteExpressionController>().is_some());
        assert!(component.cast::<IProcessContextRequirements>().is_some());
        assert!(component.cast::<IUnitInfo>().is_some());
    }

    /// A state that is cut off is refused and told; one that is whole takes that away.
    #[test]
    fn refused_states_are_told() {
        let component = Component::new();
        let song = component.link.clone().expect("the instance has a link").params.song.clone();
        let load = |bytes: &[u8]| {
            let stream = ComWrapper::new(Stream(Mutex::new((bytes.to_vec(), 0))));
            let stream = stream.to_com_ptr::<vst3::Steinberg::IBStream>().expect("a stream");
            // SAFETY: the stream outlives the call.
            unsafe { IComponentTrait::setState(&component, stream.as_ptr()) }
        };
        let whole = br#"{"version":"0.1.0","params":{},"fields":{"song":"{}"}}"#;
        assert_ne!(load(&whole[..30]), kResultOk);
        assert!(song.problem().expect("it is told").contains("cut off"));
        assert_eq!(load(whole), kResultOk);
        assert_eq!(song.problem(), None);
    }
}
