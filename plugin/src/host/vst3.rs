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
