//! Writes pictures of the editor in typical states, without a window or a GPU, to look at:
//! `cargo run -p interlude-plugin --example editor_pictures -- FOLDER`.

use std::collections::HashMap;
use std::path::PathBuf;

use egui::epaint::{ImageData, ImageDelta, Primitive, Vertex};
use egui::{Color32, Pos2, Rect, TextureId, pos2, vec2};
use image::{Rgba, RgbaImage};
use interlude_models::clip::{Clip, Note};
use interlude_models::runtime::Provider;
use interlude_plugin::editor::{
    Capture, Choice, EditorState, EngineView, ParameterView, PatternView, SlotView, StyleView,
    View, draw,
};
use interlude_plugin::shape::Attribute;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder for the pictures")?);
    std::fs::create_dir_all(&folder)?;
    let (default, small, large) = ([860.0, 610.0], [640.0, 460.0], [1280.0, 800.0]);
    let style_menu = pos2(500.0, 27.0);
    let (model_menu, load, save) = (pos2(700.0, 27.0), pos2(75.0, 352.0), pos2(580.0, 82.0));
    for (name, view, size, scale, click) in [
        ("empty", View::default(), default, 1.0, None),
        ("playing", playing(), default, 1.0, None),
        ("playing-2x", playing(), default, 2.0, None),
        ("playing-small", playing(), small, 1.0, None),
        ("playing-large", playing(), large, 1.0, None),
        ("capture", capture(), default, 1.0, None),
        ("message", message(), default, 1.0, None),
        ("message-small", message(), small, 1.0, None),
        ("long", long(), default, 1.0, None),
        ("drums", drums(), default, 1.0, None),
        ("trio", trio(), default, 1.0, None),
        ("models", playing(), default, 1.0, Some(model_menu)),
        ("providers", providers(), default, 1.0, Some(model_menu)),
        ("style", learnt(None), default, 1.0, Some(style_menu)),
        ("key", playing(), default, 1.0, Some(pos2(730.0, 440.0))),
        ("sound", playing(), default, 1.0, Some(pos2(330.0, 27.0))),
        ("sound-2x", playing(), default, 2.0, Some(pos2(330.0, 27.0))),
        ("learning-small", learnt(Some(0.42)), small, 1.0, None),
        ("load", playing(), default, 1.0, Some(load)),
        ("save", playing(), default, 1.0, Some(save)),
        ("tooltip", playing(), default, 1.0, Some(pos2(380.0, 416.0))),
    ] {
        let path = folder.join(format!("{name}.png"));
        picture(&view, size, scale, click).save(&path)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn clip(notes: &[(f64, f64, u8, u8)], length: f64) -> Clip {
    let notes = notes
        .iter()
        .map(|&(start, end, pitch, velocity)| Note {
            start,
            end,
            pitch,
            velocity,
            channel: 0,
            program: 0,
        })
        .collect();
    Clip::new(notes, length)
}

/// Two bars of drums in each slot and between them.
fn drums() -> View {
    let beat = |shift: usize| {
        let hit = |step: usize, pitch| Note {
            start: f64::from(u32::try_from(step).unwrap_or(0)) * 0.25,
            end: f64::from(u32::try_from(step).unwrap_or(0)) * 0.25 + 0.25,
            pitch,
            velocity: if step.is_multiple_of(4) { 110 } else { 60 },
            channel: 9,
            program: 0,
        };
        let mut notes: Vec<Note> = (0..32).step_by(2).map(|step| hit(step, 42)).collect();
        notes.extend((0..32).step_by(8).map(|step| hit(step + 4, 38)));
        notes.extend((0..32).step_by(8 - shift).map(|step| hit(step, 36)));
        notes.extend([hit(30, 46), hit(31 - shift, 45), hit(shift, 51)]);
        Clip::new(notes, 8.0)
    };
    let mut view = playing();
    view.slots[0].clip = Some(beat(0));
    view.slots[1].clip = Some(beat(3));
    view.pattern.clip = Some(beat(2));
    view.models = vec!["drums-2bar".to_owned()];
    view.attributes = Attribute::ALL
        .map(|attribute| matches!(attribute, Attribute::Density | Attribute::Syncopation));
    view
}

/// Sixteen bars of melody, bass and drums.
fn trio() -> View {
    let mut view = long();
    let slots = view.slots.iter_mut().map(|slot| &mut slot.clip);
    for clip in slots.chain([&mut view.pattern.clip]).flatten() {
        let drums = (0..128_u8).map(|step| Note {
            start: f64::from(step) * 0.5,
            end: f64::from(step) * 0.5 + 0.25,
            pitch: [36, 42, 38, 42][usize::from(step % 4)],
            velocity: 90,
            channel: 9,
            program: 0,
        });
        let bass = (0..32_u8).map(|step| Note {
            start: f64::from(step) * 2.0,
            end: f64::from(step) * 2.0 + 1.5,
            pitch: 28 + step % 7,
            velocity: 100,
            channel: 1,
            program: 33,
        });
        let notes = clip.notes.iter().copied().chain(drums).chain(bass).collect();
        *clip = Clip::new(notes, clip.length);
    }
    view
}

/// With a graphics card to choose, which does not start.
fn providers() -> View {
    let mut view = playing();
    let [cpu, cuda] = [Provider::Cpu, Provider::Cuda].map(Choice::Only);
    view.engine.choices = vec![Choice::Automatic, cpu, cuda];
    view.engine.chosen = cuda;
    view.message = Some(
        "CUDA cannot be used: libcudart.so.13 cannot be opened. Check its driver and libraries. The \
         CPU plays instead."
            .into(),
    );
    view
}

/// With a style of three files, or while one is learnt.
fn learnt(learning: Option<f32>) -> View {
    let style = StyleView { source: Some("3 files".to_owned()), fits: true, learning };
    View { style, ..playing() }
}

fn playing() -> View {
    let a = clip(
        &[
            (0.0, 1.0, 64, 96),
            (1.0, 2.0, 64, 80),
            (2.0, 3.0, 65, 90),
            (3.0, 4.0, 67, 100),
            (4.0, 5.0, 67, 96),
            (5.0, 6.0, 65, 80),
            (6.0, 7.0, 64, 84),
            (7.0, 8.0, 62, 76),
        ],
        8.0,
    );
    let b = clip(
        &[
            (0.0, 0.5, 67, 100),
            (0.5, 1.0, 72, 90),
            (1.0, 1.5, 76, 96),
            (1.5, 2.0, 72, 80),
            (2.0, 2.5, 67, 92),
            (2.5, 3.0, 72, 80),
            (3.0, 4.0, 76, 110),
            (4.0, 4.5, 65, 100),
            (4.5, 5.0, 69, 84),
            (5.0, 5.5, 74, 96),
            (5.5, 6.0, 69, 80),
            (6.0, 8.0, 77, 112),
        ],
        8.0,
    );
    let pattern = clip(
        &[
            (0.0, 0.5, 64, 96),
            (0.5, 1.0, 67, 84),
            (1.0, 2.0, 64, 80),
            (2.0, 2.5, 67, 92),
            (2.5, 3.0, 72, 80),
            (3.0, 4.0, 72, 110),
            (4.0, 5.0, 67, 96),
            (5.0, 5.5, 69, 88),
            (5.5, 6.0, 65, 80),
            (6.0, 7.0, 64, 100),
            (7.0, 8.0, 67, 70),
        ],
        8.0,
    );
    View {
        clips_key: Some("C major".to_owned()),
        style: StyleView::default(),
        slots: std::array::from_fn(|slot| match slot {
            0 => SlotView {
                clip: Some(a.clone()),
                source: "ode-to-joy.mid".into(),
                capture: Capture::Idle,
                can_undo: true,
                ..SlotView::default()
            },
            1 => SlotView {
                clip: Some(b.clone()),
                source: "Captured".into(),
                capture: Capture::Idle,
                can_undo: false,
                ..SlotView::default()
            },
            _ => SlotView::default(),
        }),
        pattern: PatternView {
            clip: Some(pattern),
            bars: 2,
            beats_per_bar: 4.0,
            position: 5.2,
            cycle: 12,
            playing: true,
        },
        parameters: ParameterView {
            morph: 0.42,
            shape: Attribute::ALL.map(|attribute| match attribute {
                Attribute::Density => 0.8,
                Attribute::Interval => -0.6,
                _ => 0.0,
            }),
            evolve: true,
            ..ParameterView::default()
        },
        attributes: [true; Attribute::ALL.len()],
        models: vec!["mel-2bar".into(), "cat-mel_2bar_big".into()],
        model: Some(0),
        engine: EngineView {
            provider: "CPU".into(),
            runtime: "1.32.0".into(),
            loading: false,
            decode_ms: Some(5.13),
            ..EngineView::default()
        },
        message: None,
    }
}

fn capture() -> View {
    let mut view = playing();
    view.parameters.morph = 0.85;
    view.slots[0].clip = None;
    view.slots[0].capture = Capture::Armed;
    view.slots[1].capture = Capture::Recording { progress: 0.63 };
    view.pattern.playing = false;
    view
}

fn message() -> View {
    let mut view = playing();
    view.message = Some(
        "No ONNX Runtime was found, so nothing can be generated. Install it with \
         `cargo xtask runtime`, or set ORT_DYLIB_PATH to the library, and reload the plug-in."
            .into(),
    );
    view.engine = EngineView { late_cycles: 3, ..EngineView::default() };
    view.parameters.morph = 1.0;
    view
}

fn long() -> View {
    let mut view = playing();
    let stretch = |clip: &Option<Clip>| {
        clip.as_ref().map(|clip| {
            let notes = (0..8_u8).flat_map(|turn| {
                clip.notes.iter().map(move |note| Note {
                    start: note.start + 8.0 * f64::from(turn),
                    end: note.end + 8.0 * f64::from(turn),
                    pitch: note.pitch + turn % 3 * 5,
                    ..*note
                })
            });
            Clip::new(notes.collect(), 64.0)
        })
    };
    for slot in &mut view.slots {
        slot.clip = stretch(&slot.clip);
    }
    view.pattern.clip = stretch(&view.pattern.clip);
    view.pattern.bars = 16;
    view.pattern.position = 21.3;
    view.parameters.morph = 0.7;
    view.attributes = [false; Attribute::ALL.len()];
    view
}

fn picture(view: &View, size: [f32; 2], scale: f32, click: Option<Pos2>) -> RgbaImage {
    let context = egui::Context::default();
    let mut state = EditorState::default();
    let mut canvas = Canvas::default();
    let mut time = 0.0;
    loop {
        let mut input = egui::RawInput {
            screen_rect: Some(Rect::from_min_size(Pos2::ZERO, vec2(size[0], size[1]))),
            time: Some(time),
            ..egui::RawInput::default()
        };
        if let Some(pos) = click {
            // The pointer stays where it clicked, so that the tooltip shows too.
            input.events.push(egui::Event::PointerMoved(pos));
            for (pressed, when) in [(true, 0.5), (false, 0.75)] {
                if time == when {
                    input.events.push(egui::Event::PointerButton {
                        pos,
                        button: egui::PointerButton::Primary,
                        pressed,
                        modifiers: egui::Modifiers::NONE,
                    });
                }
            }
        }
        input.viewports.entry(egui::ViewportId::ROOT).or_default().native_pixels_per_point =
            Some(scale);
        let mut output = context.run_ui(input, |ui| {
            draw(ui, view, &mut state);
        });
        for (id, deltas) in &output.textures_delta.set {
            for delta in deltas {
                canvas.update(*id, delta);
            }
        }
        output.textures_delta.clear();
        time += 0.25;
        if time > 2.0 {
            let meshes = context.tessellate(output.shapes, output.pixels_per_point);
            return canvas.paint(&meshes, size, scale);
        }
    }
}

/// A triangle rasteriser for what egui tessellates: gamma-space blending of premultiplied colours,
/// as egui's own painters do.
#[derive(Default)]
struct Canvas {
    textures: HashMap<TextureId, ([usize; 2], Vec<Color32>)>,
}

impl Canvas {
    fn update(&mut self, id: TextureId, delta: &ImageDelta) {
        let ImageData::Color(image) = &delta.image;
        match (delta.pos, self.textures.get_mut(&id)) {
            (Some([left, top]), Some((size, pixels))) => {
                for (y, row) in image.pixels.chunks(image.width()).enumerate() {
                    let start = (top + y) * size[0] + left;
                    pixels[start..start + row.len()].copy_from_slice(row);
                }
            }
            _ => {
                self.textures.insert(id, (image.size, image.pixels.clone()));
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "pixel positions are small whole numbers"
    )]
    fn paint(&self, meshes: &[egui::ClippedPrimitive], size: [f32; 2], scale: f32) -> RgbaImage {
        let (width, height) = ((size[0] * scale) as u32, (size[1] * scale) as u32);
        let mut image = RgbaImage::from_pixel(width, height, Rgba([0, 0, 0, 255]));
        for primitive in meshes {
            let Primitive::Mesh(mesh) = &primitive.primitive else { continue };
            let Some((texture_size, texture)) = self.textures.get(&mesh.texture_id) else {
                continue;
            };
            let clip = primitive.clip_rect;
            let left = (clip.left() * scale).round().clamp(0.0, width as f32) as u32;
            let right = (clip.right() * scale).round().clamp(0.0, width as f32) as u32;
            let top = (clip.top() * scale).round().clamp(0.0, height as f32) as u32;
            let bottom = (clip.bottom() * scale).round().clamp(0.0, height as f32) as u32;
            for corners in mesh.triangles() {
                let corner = corners.map(|index| mesh.vertices[index as usize]);
                let at = corner.map(|vertex| pos2(vertex.pos.x * scale, vertex.pos.y * scale));
                let bounds = Rect::from_points(&at);
                let area = cross(at[0], at[1], at[2]);
                if area == 0.0 {
                    continue;
                }
                let xs = (bounds.left().floor().max(left as f32) as u32)
                    ..(bounds.right().ceil().max(0.0) as u32).min(right);
                let ys = (bounds.top().floor().max(top as f32) as u32)
                    ..(bounds.bottom().ceil().max(0.0) as u32).min(bottom);
                for y in ys {
                    for x in xs.clone() {
                        let pixel = pos2(x as f32 + 0.5, y as f32 + 0.5);
                        let share = [
                            cross(at[1], at[2], pixel) / area,
                            cross(at[2], at[0], pixel) / area,
                            cross(at[0], at[1], pixel) / area,
                        ];
                        // The half-open rule keeps edges shared by two triangles from being
                        // painted twice.
                        let inside = (0..3).all(|edge| {
                            let (from, to) = (at[(edge + 1) % 3], at[(edge + 2) % 3]);
                            let (from, to) = if area > 0.0 { (from, to) } else { (to, from) };
                            let owns = to.y < from.y || (to.y == from.y && to.x > from.x);
                            share[edge] > 0.0 || (share[edge] == 0.0 && owns)
                        });
                        if inside {
                            let colour = shade(&corner, share, texture, *texture_size);
                            let below = image.get_pixel_mut(x, y);
                            for channel in 0..3 {
                                let under = f32::from(below.0[channel]) * (1.0 - colour[3]);
                                below.0[channel] =
                                    (under + 255.0 * colour[channel]).round().min(255.0) as u8;
                            }
                        }
                    }
                }
            }
        }
        image
    }
}

fn cross(a: Pos2, b: Pos2, c: Pos2) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// The vertex colour times the texture at one point of a triangle, as shares of full strength.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "texel positions are small whole numbers"
)]
fn shade(corner: &[Vertex; 3], share: [f32; 3], texture: &[Color32], size: [usize; 2]) -> [f32; 4] {
    let mix = |value: fn(&Vertex) -> f32| -> f32 {
        corner.iter().zip(share).map(|(vertex, share)| value(vertex) * share).sum()
    };
    let u = mix(|vertex| vertex.uv.x) * size[0] as f32 - 0.5;
    let v = mix(|vertex| vertex.uv.y) * size[1] as f32 - 0.5;
    let texel = |x: f32, y: f32| {
        let x = (x.max(0.0) as usize).min(size[0] - 1);
        let y = (y.max(0.0) as usize).min(size[1] - 1);
        texture[y * size[0] + x].to_array().map(f32::from)
    };
    let (x, y) = (u.floor(), v.floor());
    let (right, down) = (u - x, v - y);
    let corners = [texel(x, y), texel(x + 1.0, y), texel(x, y + 1.0), texel(x + 1.0, y + 1.0)];
    let weights =
        [(1.0 - right) * (1.0 - down), right * (1.0 - down), (1.0 - right) * down, right * down];
    let tint: [fn(&Vertex) -> f32; 4] = [
        |vertex| f32::from(vertex.color.r()),
        |vertex| f32::from(vertex.color.g()),
        |vertex| f32::from(vertex.color.b()),
        |vertex| f32::from(vertex.color.a()),
    ];
    std::array::from_fn(|channel| {
        let sample: f32 =
            corners.iter().zip(weights).map(|(texel, weight)| texel[channel] * weight).sum();
        (sample / 255.0) * (mix(tint[channel]) / 255.0)
    })
}
