//! egui in a window that the host owns: opening, resizing, painting.
//!
//! The stock adapter between egui and baseview drops dragged files and keeps the space bar from
//! the host while any widget has the keyboard; an instrument needs both the other way round.

mod canvas;
mod demand;
mod handler;
mod input;

use std::error::Error;
use std::sync::Arc;

use baseview::{HandlerError, Window, WindowSettings, WindowSize};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize, Size};
use nice_plug::editor::{
    Editor, EditorHandle, HostCallbacks, HostMainThreadCaller, HostMethods, ParentWindowHandle,
    ResizeHint, SpawnedEditor,
};
use parking_lot::Mutex;

use handler::Handler;

/// What a window shows.
pub trait Content: Send + 'static {
    /// Called when a window opens, before the first [`Content::draw`].
    fn opened(&mut self, context: GuiContext);

    /// Looks at what is shown, often and without painting: whether another frame would look
    /// different from the last one, apart from what `ui` was asked for.
    fn changed(&mut self) -> bool;

    /// Paints one frame. The next one comes when the user does something, when `ui` asked for it,
    /// or when the content has changed.
    fn draw(&mut self, ui: &mut egui::Ui);

    /// Called when the window has closed.
    fn closed(&mut self);
}

/// An editor that shows its content in a resizable window.
pub struct Surface<C> {
    title: &'static str,
    content: Arc<Mutex<C>>,
    extent: Arc<Extent>,
    resize_hint: ResizeHint,
}

/// The size of the window: kept while it is closed, so that it opens as the user left it.
struct Extent {
    logical: Mutex<LogicalSize<f64>>,
    scale: Mutex<f64>,
}

impl Extent {
    fn set(&self, size: WindowSize) {
        *self.logical.lock() = size.logical;
        *self.scale.lock() = size.scale_factor;
    }
}

impl<C: Content> Surface<C> {
    /// An editor of a default and a smallest size, each width and height in logical pixels.
    pub fn new(title: &'static str, size: [f32; 2], minimum: [f32; 2], content: C) -> Self {
        let [width, height] = size.map(f64::from);
        let [minimum_width, minimum_height] = minimum;
        Self {
            title,
            content: Arc::new(Mutex::new(content)),
            extent: Arc::new(Extent {
                logical: Mutex::new(LogicalSize::new(width, height)),
                scale: Mutex::new(1.0),
            }),
            resize_hint: ResizeHint::RESIZABLE
                .with_min_logical_size(LogicalSize::new(minimum_width, minimum_height)),
        }
    }

    fn settings(&self) -> WindowSettings {
        let size = *self.extent.logical.lock();
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
        let (content, extent) = (Arc::clone(&self.content), Arc::clone(&self.extent));
        let window = Window::create_with_host(
            settings,
            move |window| {
                content.lock().opened(gui_context);
                Handler::new(window, content, extent)
            },
            host.map(adapt),
        )?;
        let handle =
            SurfaceHandle { content: Arc::clone(&self.content), resize_hint: self.resize_hint };
        Ok(SpawnedEditor { handle, window })
    }

    fn size(&self) -> NativeSize<u32> {
        let size = Size::Logical(*self.extent.logical.lock());
        NativeSize::from_size(size, *self.extent.scale.lock())
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
