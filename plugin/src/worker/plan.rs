//! What is to be done so that what is loaded is what the project says: a pure function of both, which
//! touches neither files nor ONNX Runtime. `follow.rs` carries it out.

use crate::{
    provider::Choice,
    slots::SlotId,
    state::{SongState, Style},
};

/// A model and what is to compute it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// The model, as projects name it.
    pub(super) model: String,
    /// What is to compute.
    pub(super) choice: Choice,
}

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'p> {
    /// The project.
    pub(super) project: &'p SongState,
    /// How often a host has loaded a project.
    pub(super) loads: u64,
    /// What is to compute on this machine.
    pub(super) choice: Choice,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Present {
    /// The model in use.
    pub(super) model: Option<InUse>,
    /// What was loaded or tried last; `None` where it is to be tried anew, whatever came of it.
    pub(super) tried: Option<Wish>,
    /// Whether a model is being loaded.
    pub(super) loading: bool,
    /// How often a host had loaded a project when it was followed last.
    pub(super) loads: u64,
}

/// The model in use.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InUse {
    /// How it was asked for.
    pub(super) wish: Wish,
    /// Dimensions of its latent codes.
    pub(super) latent_size: usize,
    /// The name of its latent space.
    pub(super) space: String,
}

/// One thing to do; they are done in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Leave the model in use: it belongs to another project, and what it would play is none of this
    /// one's music.
    Leave,
    /// Count the model in use as tried: another one or another choice was, and it is the one that is
    /// wanted again.
    Stay,
    /// Load the project's model beside the one in use.
    Load(Wish),
    /// Tell whether the project's style was learnt in the space of the model in use.
    Style {
        /// Whether it was.
        fits: bool,
    },
    /// Leave the slot without a point: it is empty, or there is no model.
    Empty(SlotId),
    /// Put the slot where the project says that its clip lies.
    Place(SlotId),
    /// Find out where the clip of the slot lies.
    Encode {
        /// The slot.
        slot: SlotId,
        /// Whether the project keeps the code: that of a model which it no longer names is none of it.
        keep: bool,
    },
}

/// What is to be done.
pub(super) fn plan(wanted: &Wanted<'_>, present: &Present) -> Vec<Step> {
    let Wanted { project, loads, choice } = *wanted;
    let wish = Wish { model: project.model.clone(), choice };
    let mut steps = Vec::new();
    let mut model = present.model.as_ref();
    if loads != present.loads && model.is_some_and(|model| model.wish.model != wish.model) {
        steps.push(Step::Leave);
        model = None;
    }
    let mut tried = present.tried.as_ref();
    if let Some(used) = model.map(|model| &model.wish).filter(|used| used.model == wish.model)
        && tried.is_some_and(|tried| tried.model != used.model || (tried != used && *used == wish))
    {
        steps.push(Step::Stay);
        tried = Some(used);
    }
    if !present.loading && tried != Some(&wish) {
        steps.push(Step::Load(wish));
    }
    let fits = |style: &Style| {
        model.is_some_and(|model| style.personal.fits(&model.space, model.latent_size))
    };
    steps.push(Step::Style { fits: project.style.as_ref().is_some_and(fits) });
    steps.extend(SlotId::ALL.map(|slot| {
        let filled = project.slots.get(slot.index()).filter(|content| content.clip.is_some());
        let (Some(content), Some(model)) = (filled, model) else { return Step::Empty(slot) };
        let known = content.latent.as_ref().is_some_and(|latent| {
            latent.model == model.wish.model && latent.mu.len() == model.latent_size
        });
        if known {
            Step::Place(slot)
        } else {
            Step::Encode { slot, keep: model.wish.model == project.model }
        }
    }));
    steps
}

#[cfg(test)]
mod tests {
    use interlude_models::{
        clip::{Clip, Note},
        runtime::Provider,
    };

    use super::*;
    use crate::{
        slots::SLOTS,
        state::{Latent, Slot},
    };

    const AUTO: Choice = Choice::Automatic;
    const CUDA: Choice = Choice::Only(Provider::Cuda);

    fn wish(model: &str, choice: Choice) -> Wish {
        Wish { model: model.to_owned(), choice }
    }

    /// A model in use that was loaded as it was tried last.
    fn with(model: &str) -> Present {
        let wish = wish(model, AUTO);
        let model =
            InUse { wish: wish.clone(), latent_size: 2, space: format!("space of {model}") };
        Present { model: Some(model), tried: Some(wish), ..Present::default() }
    }

    fn project(model: &str) -> SongState {
        SongState { model: model.to_owned(), ..SongState::default() }
    }

    /// What is done about slots of which only the first is worth a step.
    fn slots(first: Step) -> Vec<Step> {
        let others = SlotId::ALL.into_iter().skip(1).map(Step::Empty);
        [first].into_iter().chain(others).collect()
    }

    /// A slot with a clip, and a code of a model.
    fn slot(code: Option<(&str, usize)>) -> Slot {
        let note = Note { start: 0.0, end: 1.0, pitch: 60, velocity: 80, channel: 0, program: 0 };
        let latent =
            |(model, size): (&str, usize)| Latent { model: model.to_owned(), mu: vec![0.5; size] };
        Slot { clip: Some(Clip::new(vec![note], 8.0)), latent: code.map(latent), ..Slot::default() }
    }

    /// What is to be done about the model.
    fn about_the_model(project: &SongState, choice: Choice, present: &Present) -> Vec<Step> {
        let mut steps = plan(&Wanted { project, loads: 1, choice }, present);
        let is_of_model = |step: &Step| matches!(step, Step::Leave | Step::Stay | Step::Load(_));
        steps.retain(is_of_model);
        steps
    }

    /// The project's model is loaded once, whatever came of it: when it is first asked for, when it or
    /// what computes changes, or when it is to be tried anew; never while one is being loaded.
    #[test]
    fn a_model_is_loaded_once() {
        let load = |model, choice| vec![Step::Load(wish(model, choice))];
        let failed =
            |model| Present { tried: Some(wish(model, AUTO)), loads: 1, ..Present::default() };
        let used = |model| Present { loads: 1, ..with(model) };
        let anew = |model| Present { tried: None, ..used(model) };
        let loading = |present: Present| Present { loading: true, ..present };
        let went_over = |tried| Present { tried: Some(tried), ..used("a") };
        for (name, present, choice, expected) in [
            ("nothing yet", Present { loads: 1, ..Present::default() }, AUTO, load("a", AUTO)),
            ("loaded", used("a"), AUTO, vec![]),
            ("failed", failed("a"), AUTO, vec![]),
            ("another failed", failed("b"), AUTO, load("a", AUTO)),
            ("another in use", used("b"), AUTO, load("a", AUTO)),
            ("to be tried anew", anew("a"), AUTO, load("a", AUTO)),
            ("another choice", used("a"), CUDA, load("a", CUDA)),
            ("another choice of what failed", failed("a"), CUDA, load("a", CUDA)),
            ("being loaded", loading(failed("a")), AUTO, vec![]),
            ("another being loaded", loading(used("b")), AUTO, vec![]),
            // Chosen, left for another, and chosen again before that was there.
            ("back", loading(went_over(wish("b", AUTO))), AUTO, vec![Step::Stay]),
            ("back from a failure", went_over(wish("b", AUTO)), AUTO, vec![Step::Stay]),
            ("back, and another choice", went_over(wish("b", AUTO)), CUDA, {
                [vec![Step::Stay], load("a", CUDA)].concat()
            }),
            // A choice that failed leaves the model with the one before, and is not tried again.
            ("choice that failed", went_over(wish("a", CUDA)), CUDA, vec![]),
            ("back from such a choice", went_over(wish("a", CUDA)), AUTO, vec![Step::Stay]),
        ] {
            assert_eq!(about_the_model(&project("a"), choice, &present), expected, "{name}");
        }
    }

    /// A model plays on while its project changes, and is left at once when a host loads another
    /// project that names another model.
    #[test]
    fn another_project_leaves_the_model() {
        let load = || Step::Load(wish("a", AUTO));
        for (in_use, loads, expected) in
            [("a", 0, vec![]), ("b", 1, vec![load()]), ("b", 0, vec![Step::Leave, load()])]
        {
            let present = Present { loads, ..with(in_use) };
            assert_eq!(
                about_the_model(&project("a"), AUTO, &present),
                expected,
                "{in_use} {loads}"
            );
        }
        // Left, its codes count no longer.
        let mut project = project("a");
        project.slots[0] = slot(Some(("b", 2)));
        let present = Present { loads: 0, ..with("b") };
        let steps = plan(&Wanted { project: &project, loads: 1, choice: AUTO }, &present);
        assert_eq!(steps[2], Step::Style { fits: false });
        assert_eq!(steps[3..], slots(Step::Empty(SlotId::A)));
    }

    /// A clip is encoded where its code is missing, of another model or of another size; the project
    /// keeps the code only of the model that it names.
    #[test]
    fn slots_follow_the_model_in_use() {
        let a = SlotId::A;
        let encode = |slot, keep| Step::Encode { slot, keep };
        for (in_use, first, expected) in [
            (Some("a"), Slot::default(), Step::Empty(a)),
            (Some("a"), slot(None), encode(a, true)),
            (Some("a"), slot(Some(("a", 2))), Step::Place(a)),
            (Some("a"), slot(Some(("a", 3))), encode(a, true)),
            (Some("a"), slot(Some(("b", 2))), encode(a, true)),
            // While `a` is being loaded, `b` plays on.
            (Some("b"), slot(Some(("b", 2))), Step::Place(a)),
            (Some("b"), slot(Some(("a", 2))), encode(a, false)),
            (Some("b"), slot(None), encode(a, false)),
            (None, slot(Some(("a", 2))), Step::Empty(a)),
        ] {
            let mut project = project("a");
            project.slots[0] = first.clone();
            let present = in_use.map_or_else(Present::default, with);
            let wanted = Wanted { project: &project, loads: 0, choice: AUTO };
            let steps = plan(&wanted, &Present { loading: true, ..present });
            assert!(steps.ends_with(&slots(expected)), "{in_use:?} {first:?}");
        }
        // A project with fewer slots than there are leaves the others empty.
        let few = SongState { slots: vec![], ..project("a") };
        let steps = plan(&Wanted { project: &few, loads: 0, choice: AUTO }, &with("a"));
        assert!(steps.ends_with(&slots(Step::Empty(a))));
    }

    /// A style fits the model in whose space it was learnt, whatever the model is called.
    #[test]
    fn styles_fit_their_space() {
        let style = crate::state::small_style("space of a");
        let size = style.personal.latent_size();
        for (in_use, size, expected) in [
            (Some("a"), size, true),
            (Some("b"), size, false),
            (Some("a"), size + 1, false),
            (None, size, false),
        ] {
            let project = SongState { style: Some(style.clone()), ..project("c") };
            let mut present = in_use.map_or_else(Present::default, with);
            if let Some(model) = &mut present.model {
                model.latent_size = size;
            }
            let steps = plan(&Wanted { project: &project, loads: 0, choice: AUTO }, &present);
            assert!(steps.contains(&Step::Style { fits: expected }), "{in_use:?} {size}");
        }
    }

    /// What is carried out leaves nothing to do: after the model was loaded and the clips encoded, the
    /// plan only places them.
    #[test]
    fn plans_come_to_rest() {
        let mut project = project("a");
        project.slots = SlotId::ALL.map(|_| slot(Some(("b", 2)))).to_vec();
        fn wanted(project: &SongState) -> Wanted<'_> {
            Wanted { project, loads: 0, choice: CUDA }
        }
        assert_eq!(plan(&wanted(&project), &Present::default())[0], Step::Load(wish("a", CUDA)));
        let mut present = with("a");
        present.tried = Some(wish("a", CUDA));
        if let Some(model) = &mut present.model {
            model.wish.choice = CUDA;
        }
        let encodes = |step: &Step| matches!(step, Step::Encode { keep: true, .. });
        let steps = plan(&wanted(&project), &present);
        assert_eq!(steps.iter().filter(|step| encodes(step)).count(), SLOTS);
        for slot in &mut project.slots {
            slot.latent = Some(Latent { model: "a".to_owned(), mu: vec![0.0; 2] });
        }
        let rest = [Step::Style { fits: false }].into_iter().chain(SlotId::ALL.map(Step::Place));
        assert_eq!(plan(&wanted(&project), &present), rest.collect::<Vec<_>>());
    }
}
