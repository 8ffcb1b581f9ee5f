//! Painting with OpenGL.

use std::sync::Arc;

use baseview::gl::GlContext;
use baseview::{HandlerError, WindowContext};
use egui_glow::Painter;
use egui_glow::glow::Context;

/// The OpenGL side of a window.
pub(super) struct Canvas {
    context: GlContext,
    gl: Arc<Context>,
    painter: Painter,
}

impl Canvas {
    /// Sets up painting in `window`.
    pub(super) fn new(window: &WindowContext) -> Result<Self, HandlerError> {
        let context = window.gl_context().ok_or_else(|| {
            HandlerError::from_boxed("this computer offers no OpenGL for the editor".into())
        })?;
        // SAFETY: the context belongs to this window, and this is the window's own thread.
        unsafe { context.make_current()? };
        // SAFETY: the context is current, and the pointers it gives are those of its own functions.
        let gl =
            unsafe { Context::from_loader_function_cstr(|name| context.get_proc_address(name)) };
        let gl = Arc::new(gl);
        let painter = Painter::new(Arc::clone(&gl), "", None, true)?;
        Ok(Self { context, gl, painter })
    }

    /// The widest texture that can be used, in pixels.
    pub(super) fn texture_side(&self) -> usize {
        self.painter.max_texture_side()
    }

    /// Paints a frame of `size` pixels.
    pub(super) fn paint(
        &mut self,
        size: [u32; 2],
        egui: &egui::Context,
        output: &mut egui::FullOutput,
    ) -> Result<(), HandlerError> {
        // SAFETY: the context belongs to this window, and this is the window's own thread.
        unsafe { self.context.make_current()? };
        let shapes = std::mem::take(&mut output.shapes);
        let primitives = egui.tessellate(shapes, output.pixels_per_point);
        egui_glow::painter::clear(&self.gl, size, [0.0, 0.0, 0.0, 1.0]);
        self.painter.paint_and_update_textures(
            size,
            output.pixels_per_point,
            &primitives,
            &mut output.textures_delta,
        );
        self.context.swap_buffers()?;
        // Hosts and other plug-ins may use OpenGL on this thread too.
        // SAFETY: as above.
        unsafe { self.context.make_not_current()? };
        Ok(())
    }
}

impl Drop for Canvas {
    fn drop(&mut self) {
        // SAFETY: the context belongs to this window, and this is the window's own thread.
        if unsafe { self.context.make_current() }.is_ok() {
            self.painter.destroy();
            // SAFETY: as above. Nothing is left to do when it fails.
            let _ = unsafe { self.context.make_not_current() };
        }
    }
}
