//! egui in a window that the host owns: opening, resizing, painting.
//!
//! The stock adapter between egui and baseview drops dragged files and keeps the keyboard from the
//! host; an instrument needs both the other way round. The window has the keyboard while text is
//! written and gives it back, and one that cannot be seen does nothing.

mod canvas;
mod demand;
mod desktop;
mod extent;
mod handler;
mod input;

use std::error::Error;
use std::sync::Arc;

use baseview::{HandlerError, Window, WindowSettings, WindowSize};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{NativeSize, Size};
use nice_plug::editor::{
    Editor, EditorHandle, HostCallbacks, HostMainThreadCaller, HostMethods, ParentWindowHandle,
    ResizeHint, SpawnedEditor,
};
use parking_lot::Mutex;

pub use extent::Extent;
use handler::Handler;

/// Content of a window.
pub trait Content: Send + 'static {
    /// Called when a window opens, before the first [`Content::draw`].
    fn opened(&mut self, context: GuiContext);

    /// Polls, without painting, whether a new frame would differ from the last one, apart from
    /// repaints that `ui` requested.
    fn changed(&mut self) -> bool;

    /// Paints one frame. The next one comes when the user does something, when `ui` asked for it,
    /// or when the content has changed.
    fn draw(&mut self, ui: &mut egui::Ui);

    /// Takes a key that nothing in the window wants, before the host gets it; says whether it did.
    fn spare_key(&mut self, _key: &keyboard_types::KeyboardEvent) -> bool {
        false
    }

    /// Called when the window has closed.
    fn closed(&mut self);
}

/// An editor that shows its content in a resizable window.
pub struct Surface<C> {
    title: &'static str,
    content: Arc<Mutex<C>>,
    extent: Extent,
    resize_hint: ResizeHint,
    /// Pixels in a logical pixel, where it is not for the system to say.
    scale: Option<f64>,
}

impl<C: Content> Surface<C> {
    /// An editor as large as `extent` says, which follows the window.
    pub fn new(title: &'static str, extent: Extent, content: C) -> Self {
        let resize_hint = ResizeHint::RESIZABLE.with_min_logical_size(extent.smallest());
        let content = Arc::new(Mutex::new(content));
        Self { title, content, extent, resize_hint, scale: None }
    }

    /// Shows everything `scale` times as large as it is in pixels, whatever the system says.
    pub fn with_scale(mut self, scale: Option<f64>) -> Self {
        self.scale = scale;
        self
    }

    fn settings(&self) -> WindowSettings {
        let size = self.extent.logical();
        let size = match self.scale {
            Some(scale) => Size::Physical(size.to_physical(scale)),
            None => Size::Logical(size),
        };
        let mut settings = WindowSettings::new().with_title(self.title).with_size(size);
        settings.resizable = true;
        settings.gl_config = Some(baseview::gl::GlConfig::default());
        settings
    }
}

impl<C: Content> Editor for Surface<C> {
    type Handle = SurfaceHandle<C>;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        gui_context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Self::Handle>, Box<dyn Error>> {
        let mut settings = self.settings().with_parent(parent.as_ref());
        settings.wait_for_parent = wait_for_parent;
        settings.fallback_scale_factor = fallback_scale_factor;
        let (content, extent) = (Arc::clone(&self.content), self.extent.clone());
        let embedded = parent.is_some() || wait_for_parent;
        let scale = self.scale;
        let window = Window::create_with_host(
            settings,
            move |window| {
                content.lock().opened(gui_context);
                Handler::new(window, embedded, content, extent, scale)
            },
            host.map(adapt),
        )?;
        let handle =
            SurfaceHandle { content: Arc::clone(&self.content), resize_hint: self.resize_hint };
        Ok(SpawnedEditor { handle, window })
    }

    fn size(&self) -> NativeSize<u32> {
        NativeSize::from_size(Size::Logical(self.extent.logical()), self.extent.scale())
    }

    fn resize_hint(&self) -> ResizeHint {
        self.resize_hint
    }
}

/// An open window of a [`Surface`].
pub struct SurfaceHandle<C: Content> {
    content: Arc<Mutex<C>>,
    resize_hint: ResizeHint,
}

impl<C: Content> EditorHandle for SurfaceHandle<C> {
    type Window = Window;
    type Error = baseview::Error;

    fn run_until_closed(window: Window) -> Result<(), baseview::Error> {
        window.run_until_closed()
    }

    fn set_parent(
        &self,
        parent: ParentWindowHandle,
        window: &Window,
    ) -> Result<(), baseview::Error> {
        window.set_parent(&parent)
    }

    fn show(&self, window: &Window) -> Result<(), baseview::Error> {
        window.show()
    }

    fn hide(&self, window: &Window) -> Result<(), baseview::Error> {
        window.hide()
    }

    fn set_size(&self, size: NativeSize<u32>, window: &Window) -> Result<(), baseview::Error> {
        window.resize(size)
    }

    fn adjust_size(&self, size: NativeSize<u32>, window: &Window) -> Option<NativeSize<u32>> {
        let current = window.size();
        let native = NativeSize::from_logical_or_physical(current.logical, current.physical);
        Some(self.resize_hint.adjust_size(size, native, current.scale_factor))
    }

    fn set_fallback_scale_factor(
        &self,
        scale_factor: f64,
        window: &Window,
    ) -> Result<(), baseview::Error> {
        window.suggest_fallback_scale_factor(scale_factor)
    }

    fn host_main_thread_callback(&self, window: &Window) {
        window.host_main_thread_callback();
    }

    // The content looks at all values whenever it draws, so no change needs to be passed on.
    fn param_value_changed(&self, _id: &str, _normalized_value: f32) {}

    fn param_modulation_changed(&self, _id: &str, _modulation_offset: f32) {}
}

impl<C: Content> Drop for SurfaceHandle<C> {
    fn drop(&mut self) {
        self.content.lock().closed();
    }
}

/// The host's methods in the terms of baseview.
fn adapt(host: HostMethods) -> baseview::host::Host {
    struct Callbacks(Box<dyn HostCallbacks>);

    impl baseview::host::HostCallbacks for Callbacks {
        fn request_resize(&mut self, size: WindowSize) -> Result<(), HandlerError> {
            self.0
                .request_resize(size.physical.into(), size.scale_factor)
                .map_err(HandlerError::from_boxed)
        }

        fn destroyed(&mut self) {
            self.0.destroyed();
        }
    }

    struct MainThread(Box<dyn HostMainThreadCaller>);

    impl baseview::host::HostMainThreadCaller for MainThread {
        fn call_main_thread(&mut self) {
            self.0.call_main_thread();
        }
    }

    baseview::host::Host::new()
        .with_callbacks(Callbacks(host.callbacks))
        .with_main_thread(MainThread(host.main_thread_caller))
}
