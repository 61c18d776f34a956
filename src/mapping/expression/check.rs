//! From what is written to what is meant: every name resolved, every argument counted and typed, every pattern compiled.

use std::ops::Range;

use super::format::{Format, Styles};
use super::function::{Class, Function, Given, Gives, Parameter, Signature, Takes};
use super::replace::Replacing;
use super::syntax::{Comparison, Syntax, Term, Word};
use super::types::{Scope, Source, Type};
use super::value::{Leave, Number, Value};
use super::{Expression, Problem, date};

/// An expression's checked tree.
#[derive(Clone, Debug)]
pub enum Node {
    /// A value that is always the same.
    Literal(Value<'static>),
    /// An attribute.
    Attribute {
        /// Where it is found.
        source: Source,
        /// Whether all its values are wanted or one.
        all: bool,
        /// Where it is named.
        span: Range<usize>,
    },
    /// A function's call.
    Call {
        /// Which function.
        function: Function,
        /// As many as there are parameters, or more if some come again.
        arguments: Box<[Option<Node>]>,
        /// Where it is called.
        span: Range<usize>,
    },
    /// A call of Replace.
    Replace(Box<Replacing>),
    /// A comparison.
    Compare {
        /// Which relation.
        operator: Comparison,
        /// Left and right.
        sides: Box<[Node; 2]>,
        /// Where it stands.
        span: Range<usize>,
    },
}

/// Checks a parsed expression.
pub fn check(text: &str, syntax: &Syntax, scope: &dyn Scope) -> Result<Expression, Vec<Problem>> {
    let mut checker = Checker {
        scope,
        problems: Vec::new(),
        warnings: Vec::new(),
        sources: Vec::new(),
        class: Class::Pure,
        redacted: false,
    };
    let place = Parameter { name: "", takes: Takes::Any, given: Given::Always, passes: true };
    let checked = checker.argument(syntax, &place, None);
    match checked {
        Some(checked) if checker.problems.is_empty() => Ok(Expression {
            text: text.to_owned(),
            root: checked.node,
            kind: checked.kind,
            sources: checker.sources,
            class: checker.class,
            redacted: checker.redacted,
            warnings: checker.warnings,
        }),
        _ => Err(checker.problems),
    }
}

struct Checker<'s> {
    scope: &'s dyn Scope,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    sources: Vec<Source>,
    class: Class,
    redacted: bool,
}

/// A node and what is known of it.
struct Checked {
    node: Node,
    kind: Type,
    /// Whether it may give a flow marker.
    leaves: bool,
}

impl Checker<'_> {
    fn refuse<T>(&mut self, problem: Problem) -> Option<T> {
        self.problems.push(problem);
        None
    }

    /// What stands in the place of `parameter` of `callee`.
    fn argument(&mut self, syntax: &Syntax, parameter: &Parameter, callee: Option<&Signature>) -> Option<Checked> {
        let span = syntax.span.clone();
        let place = || match callee {
            Some(callee) => format!("`{}` of {}", parameter.name, callee.name),
            None => "the expression".to_owned(),
        };
        if let Term::Word(word) = &syntax.term {
            return self.word(*word, span, parameter, callee);
        }
        match parameter.takes {
            Takes::Written if !matches!(syntax.term, Term::Text(_)) => {
                return self.refuse(
                    Problem::new(span, format!("{} must be a text written out", place()))
                        .help("patterns are compiled when the configuration is loaded"),
                );
            }
            Takes::Mode => {
                return self.refuse(
                    Problem::new(span, format!("{} is a comparison mode", place()))
                        .help("write vbTextCompare or vbBinaryCompare, without quotes"),
                );
            }
            Takes::Interval => match &syntax.term {
                Term::Text(text) if date::Interval::named(text).is_none() => {
                    return self
                        .refuse(Problem::new(span, format!("\"{}\" is no interval", text.escape_debug())).help(
                            "write one of \"yyyy\", \"m\" (month), \"d\", \"ww\", \"h\", \"n\" (minute), \"s\"",
                        ));
                }
                _ => {}
            },
            _ => {}
        }
        let checked = self.term(syntax, parameter.takes == Takes::List)?;
        if checked.leaves && !parameter.passes {
            return self.refuse(
                Problem::new(span, format!("{} cannot be left out", place()))
                    .help("only IIF, Switch and Redact pass on that something is to be left out"),
            );
        }
        if let Some((message, help)) = unfit(parameter.takes, &checked, syntax) {
            return self.refuse(Problem::new(span, format!("{} {message}", place())).help(help));
        }
        Some(checked)
    }

    fn word(
        &mut self,
        word: Word,
        span: Range<usize>,
        parameter: &Parameter,
        callee: Option<&Signature>,
    ) -> Option<Checked> {
        let leave = match word {
            Word::Binary | Word::Text if parameter.takes == Takes::Mode => {
                let node = Node::Literal(Value::Boolean(word == Word::Text));
                return Some(Checked { node, kind: Type::Any, leaves: false });
            }
            Word::Binary | Word::Text => {
                let message = format!("{} is a mode of InStr", word.as_str());
                return self.refuse(Problem::new(span, message).help("write it as the fourth argument of InStr"));
            }
            Word::IgnoreAttribute => Leave::Attribute,
            Word::IgnoreObject => Leave::Object,
        };
        if callee.is_none() || !parameter.passes {
            let message = format!("{} cannot stand here", word.as_str());
            return self.refuse(Problem::new(span, message).help("it is a result of IIF or Switch"));
        }
        Some(Checked { node: Node::Literal(Value::Leave(leave)), kind: Type::Any, leaves: true })
    }

    fn term(&mut self, syntax: &Syntax, all: bool) -> Option<Checked> {
        let span = syntax.span.clone();
        let plain = |value, kind| Some(Checked { node: Node::Literal(value), kind, leaves: false });
        match &syntax.term {
            Term::Text(text) => plain(Value::text(text.clone()), Type::Text),
            Term::Number(number) => plain(Value::Number(*number), Type::Number),
            Term::Word(_) => self.refuse(Problem::new(span, "this word cannot be compared")),
            Term::Attribute(name) => match self.scope.attribute(name) {
                Ok((source, kind)) => {
                    if !self.sources.contains(&source) {
                        self.sources.push(source.clone());
                    }
                    // A filter may select several entries; where a list is wanted they all are.
                    let filtered = matches!(&source, Source::Path(path) if path.filter.is_some());
                    let all = kind == Type::List || (all && filtered);
                    Some(Checked { node: Node::Attribute { source, all, span }, kind, leaves: false })
                }
                Err(unknown) => {
                    let problem = Problem::new(span, format!("[{}] {}", shortened(name), unknown.message));
                    self.refuse(Problem { help: unknown.help, ..problem })
                }
            },
            Term::Compare { operator, left, right } => {
                let (left_node, right_node) = (self.side(left), self.side(right));
                let (left_node, right_node) = (left_node?, right_node?);
                self.comparison(*operator, (left, &left_node), (right, &right_node), &span)?;
                let node =
                    Node::Compare { operator: *operator, sides: Box::new([left_node.node, right_node.node]), span };
                Some(Checked { node, kind: Type::Boolean, leaves: false })
            }
            Term::Call { name, arguments } => self.call(name, arguments, span),
        }
    }

    fn side(&mut self, syntax: &Syntax) -> Option<Checked> {
        let checked = self.term(syntax, false)?;
        let span = syntax.span.clone();
        if checked.leaves {
            return self.refuse(Problem::new(span, "what may be left out cannot be compared"));
        }
        if checked.kind == Type::List {
            return self.refuse(
                Problem::new(span, "a list cannot be compared").help("take one value with Item(…, 1), or Count(…)"),
            );
        }
        Some(checked)
    }

    fn comparison(
        &mut self,
        operator: Comparison,
        (left, left_node): (&Syntax, &Checked),
        (right, right_node): (&Syntax, &Checked),
        span: &Range<usize>,
    ) -> Option<()> {
        let kinds = (left_node.kind, right_node.kind);
        if operator.orders() {
            let ordered = |kind| matches!(kind, Type::Number | Type::Date | Type::Any);
            if !(ordered(kinds.0) || ordered(kinds.1)) || matches!(kinds, (Type::Boolean, _) | (_, Type::Boolean)) {
                let message = format!("{} and {} have no order", kinds.0, kinds.1);
                return self.refuse(
                    Problem::new(span.clone(), message)
                        .help("numbers and dates have: compare with a number, or with CDate(…)"),
                );
            }
        }
        for (one, other) in [((left, kinds.0), (right, kinds.1)), ((right, kinds.1), (left, kinds.0))] {
            match (one.1, &other.0.term) {
                (Type::Boolean, Term::Text(text)) if !matches!(text.as_str(), "True" | "False") => {
                    return self.refuse(
                        Problem::new(
                            other.0.span.clone(),
                            "true and false are compared as the texts they are written as",
                        )
                        .help("write \"True\" or \"False\""),
                    );
                }
                (Type::Number | Type::Date, Term::Text(text)) if text.is_empty() => {}
                (Type::Number, Term::Text(text)) if Number::parse(text.trim()).is_none() => {
                    return self.refuse(
                        Problem::new(other.0.span.clone(), "a number is compared with a text that is none")
                            .help("write a number"),
                    );
                }
                _ => {}
            }
            if matches!((&one.0.term, &other.0.term), (Term::Attribute(_), Term::Text(text)) if text.is_empty()) {
                self.warnings.push(
                    Problem::new(
                        span.clone(),
                        "this is never true: an attribute without a value fails every comparison",
                    )
                    .help(if operator == Comparison::Equal {
                        "write IsNullOrEmpty(…)"
                    } else {
                        "write IsPresent(…)"
                    }),
                );
                if operator == Comparison::Unequal {
                    self.warnings.pop();
                }
            }
        }
        Some(())
    }

    fn call(&mut self, name: &str, arguments: &[Option<Syntax>], span: Range<usize>) -> Option<Checked> {
        let named = span.start..span.start + name.len();
        let signature = match Function::named(name) {
            Ok(signature) => signature,
            Err(near) => {
                let problem = Problem::new(named, format!("`{}` is no function", shortened(name)));
                return self.refuse(match near {
                    Some(near) if near.eq_ignore_ascii_case(name) => problem.help(format!("case counts: write {near}")),
                    Some(near) => problem.help(format!("did you mean {near}?")),
                    None => problem,
                });
            }
        };
        match signature.class {
            Class::Elsewhere(instead) => {
                return self.refuse(Problem::new(named, format!("{name} means nothing here")).help(instead));
            }
            Class::Log => self.redacted = true,
            class => self.class = self.class.max(class),
        }
        match signature.function {
            Function::RandomString => self.redacted = true,
            Function::Now => self.warnings.push(
                Problem::new(span.clone(), "Now() is read when a request comes in")
                    .help("nothing happens by itself on the day a date is reached"),
            ),
            _ => {}
        }
        let mut arguments: Vec<Option<&Syntax>> = arguments.iter().map(Option::as_ref).collect();
        if signature.function == Function::FormatDateTime && arguments.len() == 3 {
            arguments.insert(1, None);
            self.warnings.push(
                Problem::new(span.clone(), "FormatDateTime has four parameters")
                    .help("leave the second one empty: FormatDateTime(source, , inputFormat, outputFormat)"),
            );
        }
        self.count(signature, &arguments, &span)?;
        let before = self.problems.len();
        let mut checked = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let Some(parameter) = signature.parameter(index) else { break };
            checked.push(argument.and_then(|argument| self.argument(argument, parameter, Some(signature))));
        }
        if self.problems.len() > before {
            return None;
        }
        checked.resize_with(checked.len().max(signature.parameters.len()), || None);
        let switch = signature.function == Function::Switch;
        if switch && checked.first().is_some_and(|it| it.as_ref().is_some_and(|it| it.kind == Type::Reference)) {
            return self.refuse(
                Problem::new(span, "Switch cannot be used on a reference").help("compare CStr(…) of it in an IIF"),
            );
        }
        let (kind, leaves) = result(signature, &checked);
        let nodes: Box<[Option<Node>]> = checked.into_iter().map(|it| it.map(|it| it.node)).collect();
        if signature.function == Function::FormatDateTime {
            self.formats(&nodes, &arguments)?;
        }
        let node = if signature.function == Function::Replace {
            match Replacing::new(nodes, &arguments, span) {
                Ok(replacing) => Node::Replace(Box::new(replacing)),
                Err(problem) => return self.refuse(problem),
            }
        } else {
            Node::Call { function: signature.function, arguments: nodes, span }
        };
        Some(Checked { node, kind, leaves })
    }

    /// Whether as many arguments are given as there must be.
    fn count(&mut self, signature: &Signature, arguments: &[Option<&Syntax>], span: &Range<usize>) -> Option<()> {
        let parameters = signature.parameters;
        let least = parameters.iter().rposition(|it| it.given != Given::Optional).map_or(0, |last| last + 1);
        let most = if signature.repeats > 0 { usize::MAX } else { parameters.len() };
        let (given, usage) = (arguments.len(), signature.usage());
        let wrong = |message: String| Problem::new(span.clone(), message).help(format!("it is {usage}"));
        if given < least || given > most {
            let wanted = match (least, most) {
                (least, usize::MAX) => format!("at least {least}"),
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            return self.refuse(wrong(format!("{} takes {wanted} arguments, not {given}", signature.name)));
        }
        if signature.repeats > 1 && !(given - parameters.len()).is_multiple_of(signature.repeats) {
            return self
                .refuse(wrong(format!("{} has a key without a value: its arguments are {given}", signature.name)));
        }
        for (index, argument) in arguments.iter().enumerate() {
            if argument.is_none()
                && let Some(parameter) = signature.parameter(index)
                && parameter.given == Given::Always
            {
                return self.refuse(wrong(format!("`{}` of {} is not given", parameter.name, signature.name)));
            }
        }
        Some(())
    }

    /// Formats and styles that are written out must be right.
    fn formats(&mut self, nodes: &[Option<Node>], written: &[Option<&Syntax>]) -> Option<()> {
        let before = self.problems.len();
        for (index, node) in nodes.iter().enumerate().skip(1) {
            let (Some(Node::Literal(Value::Text(text))), Some(Some(syntax))) = (node, written.get(index)) else {
                continue;
            };
            let read = if index == 1 { Styles::parse(text).map(drop) } else { Format::parse(text).map(drop) };
            if let Err(message) = read {
                self.problems.push(Problem::new(syntax.span.clone(), message));
            }
        }
        (self.problems.len() == before).then_some(())
    }
}

/// The type of a call's result, and whether it may be a flow marker.
fn result(signature: &Signature, arguments: &[Option<Checked>]) -> (Type, bool) {
    let leaves = signature.function == Function::IgnoreFlowIfNullOrEmpty
        || arguments.iter().flatten().any(|argument| argument.leaves);
    let kind = match signature.gives {
        Gives::Type(kind) => kind,
        Gives::Arguments => {
            let given = arguments.iter().enumerate().filter_map(|(index, argument)| {
                let wanted = signature.parameter(index)?.passes
                    || signature.function != Function::IIF && signature.function != Function::Switch;
                argument.as_ref().filter(|it| wanted && !matches!(it.node, Node::Literal(Value::Leave(_))))
            });
            let mut kinds = given.map(|argument| argument.kind);
            let first = kinds.next().unwrap_or(Type::Any);
            if kinds.all(|kind| kind == first) { first } else { Type::Any }
        }
    };
    (kind, leaves)
}

/// Why a value cannot be what a parameter takes, and what to write.
fn unfit(takes: Takes, checked: &Checked, syntax: &Syntax) -> Option<(String, &'static str)> {
    let kind = checked.kind;
    let one = "take one value with Item(…, 1), or make one text with Join(…)";
    let is = |help: &'static str| Some((format!("is {kind}"), help));
    match (takes, kind) {
        (Takes::Any | Takes::List | Takes::Mode, _) | (_, Type::Any) => None,
        (_, Type::List) => is(one),
        (Takes::Number, Type::Boolean | Type::Date | Type::Reference) => is("a whole number is wanted"),
        (Takes::Number, Type::Text) => match &syntax.term {
            Term::Text(text) if Number::parse(text.trim()).and_then(Number::as_whole).is_none() => {
                Some(("is a text that is no whole number".to_owned(), "write a number"))
            }
            _ => None,
        },
        (Takes::Number, Type::Number) => match &syntax.term {
            Term::Number(number) if number.as_whole().is_none() => {
                Some(("is no whole number".to_owned(), "write a number without a point"))
            }
            _ => None,
        },
        (Takes::Boolean, Type::Text) => match &syntax.term {
            Term::Text(text) if !matches!(text.as_str(), "True" | "False") => {
                Some(("is a text that says neither".to_owned(), "write a comparison, such as [userType] = \"Guest\""))
            }
            _ => None,
        },
        (Takes::Boolean, Type::Number | Type::Date | Type::Reference) => {
            is("write a comparison, such as [userType] = \"Guest\"")
        }
        (Takes::Date, Type::Number) => is("make one with DateFromNum(…)"),
        (Takes::Date, Type::Boolean | Type::Reference) => is("a date is wanted, such as CDate(\"2024-05-01\")"),
        (Takes::Date, Type::Text) => match &syntax.term {
            Term::Text(text) if date::parse(text).is_none() => Some((
                "is a text that is no date".to_owned(),
                "write one such as \"2024-05-01\" or \"2024-05-01T08:00:00Z\"",
            )),
            _ => None,
        },
        _ => None,
    }
}

/// A name in a message: one line, not too long.
fn shortened(name: &str) -> String {
    let short: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    let short = short.replace("\\\"", "\"").replace("\\'", "'");
    if name.chars().count() > 80 { short + "…" } else { short }
}
