//! Sets parameters for the editor of the stand-alone program, without a host.

use std::sync::Arc;

use nice_plug::plugin::ParamValue;
use nice_plug::prelude::*;

use crate::params::InterludeParams;

/// Sets the parameters directly.
pub(super) struct Direct {
    params: Arc<InterludeParams>,
    known: Vec<(String, ParamPtr)>,
}

impl Direct {
    pub(super) fn new(params: Arc<InterludeParams>) -> Self {
        let known = params.param_map().into_iter().map(|(id, param, _)| (id, param)).collect();
        Self { params, known }
    }

    fn set(&self, param: ParamPtr, normalized: f32) {
        if self.known.iter().any(|(_, known)| *known == param) {
            // SAFETY: the pointer is one of those into `params`, which lives as long as `self`.
            unsafe { param._internal_set_normalized_value(normalized) };
        }
    }
}

impl GuiContextInner for Direct {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    unsafe fn raw_begin_set_parameter(&self, _param: ParamPtr) {}

    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        self.set(param, normalized);
    }

    unsafe fn raw_end_set_parameter(&self, _param: ParamPtr) {}

    fn get_state(&self) -> PluginState {
        let value = |param: &ParamPtr| {
            // SAFETY: as in `set`.
            ParamValue::F32(unsafe { param.unmodulated_plain_value() })
        };
        PluginState {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            params: self.known.iter().map(|(id, param)| (id.clone(), value(param))).collect(),
            fields: self.params.serialize_fields(),
        }
    }

    fn set_state(&self, state: PluginState) {
        for (id, param) in &self.known {
            #[expect(clippy::cast_precision_loss, reason = "integer parameters are small")]
            let plain = match state.params.get(id) {
                Some(ParamValue::F32(value)) => *value,
                Some(ParamValue::I32(value)) => *value as f32,
                Some(ParamValue::Bool(value)) => f32::from(u8::from(*value)),
                Some(ParamValue::String(_)) | None => continue,
            };
            // SAFETY: as in `set`.
            self.set(*param, unsafe { param.preview_normalized(plain) });
        }
        self.params.deserialize_fields(&state.fields);
    }

    fn request_restart(&self) {}
}

#[cfg(test)]
mod tests {
    use nice_plug::context::gui::GuiContext;

    use super::*;

    /// What the editor sets is set at once, a parameter of another instance stays as it is, and a
    /// state that was taken brings everything back.
    #[test]
    fn parameters_are_set_directly() {
        let (params, other) = (Arc::new(InterludeParams::default()), InterludeParams::default());
        let context = GuiContext::new(Arc::new(Direct::new(Arc::clone(&params))));
        let before = context.get_state();
        let setter = context.param_setter();
        setter.set_parameter(&params.morph, 0.25);
        setter.set_parameter(&params.seed, 77);
        setter.set_parameter(&params.evolve, true);
        setter.set_parameter(&other.morph, 0.75);
        params.song.change(|state| state.model = "another".to_owned());
        let values = |params: &InterludeParams| {
            let model = params.song.read(|state| state.model.clone());
            (params.morph.value(), params.seed.value(), params.evolve.value(), model)
        };
        let set = (0.25, 77, true, "another".to_owned());
        assert_eq!(values(&params), set);
        assert_eq!(other.morph.value(), crate::table::MORPH.default);
        let after = context.get_state();
        context.set_state(before);
        assert_eq!(values(&params), values(&other));
        context.set_state(after);
        assert_eq!(values(&params), set);
    }
}
