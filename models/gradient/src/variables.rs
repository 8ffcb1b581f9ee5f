//! The trainable variables of a graph: declared once, used anywhere, each with one gradient.

use std::collections::{BTreeMap, BTreeSet};

use interlude_onnx::{Dim, ElementType, Graph, Value, extent};

/// A variable as an input of the graph.
#[derive(Clone, Debug)]
pub struct Variable {
    /// The input.
    pub value: Value,
    /// Extents, row-major.
    pub shape: Vec<usize>,
}

/// All variables of a graph by name, and the gradients found so far.
#[derive(Debug, Default)]
pub struct Variables {
    variables: BTreeMap<String, Variable>,
    gradients: BTreeMap<String, Value>,
    frozen: BTreeSet<String>,
}

impl Variables {
    /// Declares a variable as an input of the graph and returns its value.
    pub fn declare(&mut self, graph: &mut Graph, name: &str, shape: &[usize]) -> Value {
        let value = graph.input(name, ElementType::F32, &dims(shape));
        let variable = Variable { value: value.clone(), shape: shape.to_vec() };
        self.variables.insert(name.to_owned(), variable);
        value
    }

    /// Sets the gradient of a declared variable; those of frozen ones are dropped.
    ///
    /// # Panics
    /// When the variable is unknown or has a gradient already: a fault of the caller.
    pub fn set_gradient(&mut self, name: &str, gradient: Value) {
        assert!(self.variables.contains_key(name), "unknown variable {name}");
        if !self.frozen.contains(name) {
            let earlier = self.gradients.insert(name.to_owned(), gradient);
            assert!(earlier.is_none(), "second gradient of {name}");
        }
    }

    /// Freezes some of the declared variables: they have no gradients and stay as they are.
    pub fn freeze(&mut self, frozen: impl Fn(&str) -> bool) {
        let names = self.variables.keys().filter(|name| frozen(name));
        self.frozen = names.cloned().collect();
    }

    /// Gives frozen variables gradients of zero, for an optimiser that wants one of every variable.
    pub fn thaw(&mut self, graph: &mut Graph) {
        for name in std::mem::take(&mut self.frozen) {
            // Without a value given, ConstantOfShape makes zeros.
            let shape = &self.variables[&name].shape;
            let shape = graph.ints(&shape.iter().map(|&size| extent(size)).collect::<Vec<_>>());
            let zeros = graph.op("ConstantOfShape", &[&shape], &[]);
            self.set_gradient(&name, zeros);
        }
    }

    /// Takes the gradients of all variables that are not frozen, in the order of their names, so that
    /// others can be set.
    ///
    /// # Panics
    /// When one has no gradient: the backward pass is incomplete.
    pub fn take_gradients(&mut self) -> Vec<(String, Value)> {
        let found: Vec<_> = self
            .with_gradients()
            .map(|(name, _, gradient)| (name.to_owned(), gradient.clone()))
            .collect();
        self.gradients.clear();
        found
    }

    /// The variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }

    /// The variables that are not frozen, in the order of their names.
    pub fn trained(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.iter().filter(|(name, _)| !self.frozen.contains(*name))
    }

    /// The variables that are not frozen with their gradients, in the order of their names.
    ///
    /// # Panics
    /// When one has no gradient: the backward pass is incomplete.
    pub fn with_gradients(&self) -> impl Iterator<Item = (&str, &Variable, &Value)> {
        self.trained().map(|(name, variable)| {
            let gradient = self.gradients.get(name);
            let gradient = gradient.unwrap_or_else(|| panic!("no gradient of {name}"));
            (name, variable, gradient)
        })
    }
}

/// A shape of known extents.
pub fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|&extent| Dim::Size(extent)).collect()
}
