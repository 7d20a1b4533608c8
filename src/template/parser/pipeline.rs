//! Pipelines: what stands between the delimiters of an action, behind its keyword.
//!
//! Source: go text/template/parse/parse.go (`pipeline`, `command`, `operand`, `term`).

use std::sync::Arc;

use super::super::ast::{Kind, Name, NodeId, Number, Pipe};
use super::super::lexer::{Token, TokenKind};
use super::super::strconv;
use super::number::parse_number;
use super::{ParseError, Parser, Result, position};

impl Parser<'_> {
    pub(super) fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<NodeId> {
        let start = self.peek().start;
        let (decl, assign) = self.declarations(context)?;
        let mark = self.open.len();
        loop {
            let token = self.next();
            match token.kind {
                kind if kind == end => break,
                TokenKind::Bool
                | TokenKind::CharConstant
                | TokenKind::Complex
                | TokenKind::Dot
                | TokenKind::Field
                | TokenKind::Identifier
                | TokenKind::Number
                | TokenKind::Nil
                | TokenKind::RawString
                | TokenKind::String
                | TokenKind::Variable
                | TokenKind::LeftParen => {
                    self.backup();
                    let command = self.command()?;
                    self.open.push(command);
                }
                _ => return self.unexpected(token, context),
            }
        }
        self.check_pipeline(&self.open[mark..], context)?;
        let cmds = self.close(mark);
        let pipe = Pipe { decl: self.unit.add_ids(&decl), assign, cmds };
        Ok(self.unit.add(start, Kind::Pipe(pipe)))
    }

    fn check_pipeline(&self, cmds: &[NodeId], context: &str) -> Result<()> {
        if cmds.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, &cmd) in cmds.iter().enumerate().skip(1) {
            let Kind::Command(args) = self.unit.kind(cmd) else { continue };
            let literal = matches!(
                self.unit.kind(self.unit.ids(args)[0]),
                Kind::Bool(_) | Kind::Dot | Kind::Nil | Kind::Number(_) | Kind::String(..)
            );
            if literal {
                let stage = index + 1;
                return self.fail(format!("non executable command in pipeline stage {stage}"));
            }
        }
        Ok(())
    }

    fn declarations(&mut self, context: &str) -> Result<(Vec<u32>, bool)> {
        let mut decl = Vec::new();
        loop {
            let variable = self.peek();
            if variable.kind != TokenKind::Variable {
                return Ok((decl, false));
            }
            self.next();
            let next = self.peek();
            match next.kind {
                TokenKind::Assign | TokenKind::Declare => {
                    self.next();
                    self.declare(variable, &mut decl);
                    return Ok((decl, next.kind == TokenKind::Assign));
                }
                TokenKind::Char if self.text_of(next) == b"," => {
                    self.next();
                    self.declare(variable, &mut decl);
                    if context != "range" || decl.len() >= 2 {
                        return self.fail(format!("too many declarations in {context}"));
                    }
                    match self.peek().kind {
                        TokenKind::Variable | TokenKind::RightDelim | TokenKind::RightParen => {}
                        _ => return self.fail("range can only initialize variables"),
                    }
                }
                _ => {
                    self.tokens[1] = variable;
                    self.peeked = 2;
                    return Ok((decl, false));
                }
            }
        }
    }

    fn declare(&mut self, variable: Token, decl: &mut Vec<u32>) {
        let index = self.variable_index(variable);
        decl.push(index);
        self.scope.variables.push(index);
    }

    fn variable_index(&mut self, token: Token) -> u32 {
        let name = &self.text[token.range()];
        let known = self.unit.variables.iter().position(|variable| **variable == *name);
        let index = known.unwrap_or_else(|| {
            self.unit.variables.push(Arc::from(name));
            self.unit.variables.len() - 1
        });
        position(index)
    }

    fn command(&mut self) -> Result<NodeId> {
        let start = self.peek().start;
        let mark = self.open.len();
        loop {
            let operand = self.operand()?;
            self.open.extend(operand);
            let token = self.next();
            match token.kind {
                TokenKind::RightDelim | TokenKind::RightParen => {
                    self.backup();
                    break;
                }
                TokenKind::Pipe => break,
                _ if operand.is_some() && token.spaced => self.backup(),
                _ => return self.unexpected(token, "operand"),
            }
        }
        if self.open.len() == mark {
            return self.fail("empty command");
        }
        let args = self.close(mark);
        Ok(self.unit.add(start, Kind::Command(args)))
    }

    fn operand(&mut self) -> Result<Option<NodeId>> {
        let Some(node) = self.term()? else { return Ok(None) };
        let first = self.peek();
        if first.kind != TokenKind::Field || first.spaced {
            return Ok(Some(node));
        }
        let kind = self.unit.kind(node);
        let mut names = match kind {
            // Its names are the last that were added.
            Kind::Field(names) => names,
            _ => self.unit.no_names(),
        };
        let mut last = first;
        loop {
            let token = self.peek();
            if token.kind != TokenKind::Field || token.spaced {
                break;
            }
            self.next();
            last = token;
            names = self.unit.add_name(names, name_of(token));
        }
        let pos = first.start;
        match kind {
            Kind::Field(_) => self.unit.replace(node, pos, Kind::Field(names)),
            Kind::Variable(variable, _) => {
                self.unit.replace(node, pos, Kind::Variable(variable, names));
            }
            Kind::Bool(_) | Kind::String(..) | Kind::Number(_) | Kind::Nil | Kind::Dot => {
                let term = strconv::quote(&self.unit.print(node));
                let text = format!("unexpected . after term {term}");
                return Err(ParseError { line: self.line_behind(last), message: text });
            }
            _ => return Ok(Some(self.unit.add(pos, Kind::Chain(node, names)))),
        }
        Ok(Some(node))
    }

    fn term(&mut self) -> Result<Option<NodeId>> {
        let token = self.next();
        let text = &self.text[token.range()];
        let kind = match token.kind {
            TokenKind::Identifier => match self.function(text) {
                Some(function) => Kind::Function(function),
                None => {
                    let name = strconv::quote(text);
                    return self.fail(format!("function {name} not defined"));
                }
            },
            TokenKind::Dot => Kind::Dot,
            TokenKind::Nil => Kind::Nil,
            TokenKind::Variable => {
                let index = self.variable_index(token);
                if !self.scope.variables.contains(&index) {
                    let name = strconv::quote(text);
                    return self.fail(format!("undefined variable {name}"));
                }
                Kind::Variable(index, self.unit.no_names())
            }
            TokenKind::Field => {
                Kind::Field(self.unit.add_name(self.unit.no_names(), name_of(token)))
            }
            TokenKind::Bool => Kind::Bool(text == b"true"),
            TokenKind::CharConstant | TokenKind::Complex | TokenKind::Number => {
                match parse_number(text, token.kind) {
                    Ok(number) => {
                        let text = Name { start: token.start, end: token.end };
                        Kind::Number(self.unit.add_number(Number { text, ..number }))
                    }
                    Err(message) => return self.fail(message),
                }
            }
            TokenKind::LeftParen => {
                let pipe = |parser: &mut Self| {
                    parser.pipeline("parenthesized pipeline", TokenKind::RightParen)
                };
                return self.deeper(pipe).map(Some);
            }
            TokenKind::String | TokenKind::RawString => {
                let value = self.unquote(token)?;
                Kind::String(token.start, token.end, value)
            }
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(self.unit.add(token.start, kind)))
    }
}

/// Where the name of a field stands, behind its dot.
fn name_of(field: Token) -> [u32; 2] {
    [field.start + 1, field.end]
}
