//! `ndstore plot`: a picture of an array: an image of two axes, a line of one.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::stats::no_numbers;
use crate::canvas::Canvas;
use crate::input::{Input, RawArgs};
use crate::operand::Operand;
use crate::outcome::{Answer, Outcome, fail};
use crate::output::OutputArgs;
use crate::print;
use crate::shell::Shell;
use crate::stream::Elements;
use crate::units;

/// Draw an array as a PNG: one axis as a line, two as an image
///
/// An image takes every n-th element where there are more than pixels; a line reaches from the least to the greatest element of each column of pixels. NaN stays empty.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    ndstore plot a.npy a.png\n  \
    ndstore plot --colours magma --range 0,255 'stack.npy[10]' slice.png\n  \
    ndstore plot --title loss 'runs.npz:loss' loss.png")]
pub(crate) struct Plot {
    /// The array, with an index that leaves one axis or two: 'a.npy[0]'
    #[arg(value_name = "FILE")]
    file: Operand,
    /// The new picture, - for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The colours of an image
    #[arg(long, value_enum, default_value_t = Colours::Viridis, value_name = "MAP")]
    colours: Colours,
    /// The numbers at the ends of the colours, or of the line
    #[arg(
        long,
        value_name = "FROM,TO",
        value_delimiter = ',',
        num_args = 1,
        allow_negative_numbers = true
    )]
    range: Option<Vec<f64>>,
    /// What stands above it; the name of the array otherwise
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// How many pixels it has at most, without the margins
    #[arg(long, default_value = "640,480", value_name = "WIDTH,HEIGHT", value_delimiter = ',', num_args = 1, value_parser = clap::value_parser!(u16).range(16..=8192))]
    size: Vec<u16>,
    #[command(flatten)]
    raw: RawArgs,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Colours {
    Viridis,
    Magma,
    Inferno,
    Plasma,
    Cividis,
    Turbo,
    /// From blue by white to red
    Coolwarm,
    Greys,
}

impl Colours {
    /// The colour of a place between 0 and 1.
    fn at(self, place: f64) -> [u8; 3] {
        let place = place.clamp(0.0, 1.0);
        let (map, place) = match self {
            Colours::Viridis => (colorous::VIRIDIS, place),
            Colours::Magma => (colorous::MAGMA, place),
            Colours::Inferno => (colorous::INFERNO, place),
            Colours::Plasma => (colorous::PLASMA, place),
            Colours::Cividis => (colorous::CIVIDIS, place),
            Colours::Turbo => (colorous::TURBO, place),
            Colours::Coolwarm => (colorous::RED_BLUE, 1.0 - place),
            Colours::Greys => (colorous::GREYS, 1.0 - place),
        };
        map.eval_continuous(place).as_array()
    }
}

/// The margins: for the title, for the numbers beside and below.
const ABOVE: usize = 24;
const BESIDE: usize = 84;
const BELOW: usize = 24;
const RIGHT: usize = 16;

impl Plot {
    pub(crate) fn run(self, shell: &mut Shell<'_>) -> Outcome {
        let [width, height] = [
            usize::from(self.size[0]),
            usize::from(*self.size.get(1).unwrap_or(&480)),
        ];
        let mut input = Input::open(&self.file, &self.raw, shell)?;
        if print::value(
            input.store.dtype(),
            &vec![0; input.store.dtype().itemsize()],
        )
        .is_none()
        {
            return no_numbers(&input);
        }
        let shape = input.shape();
        if shape.contains(&0) {
            return fail(format!(
                "{} has no elements to draw, its shape is {}",
                input.name,
                units::shape(&shape)
            ));
        }
        let range = match self.range.as_deref() {
            None => None,
            Some(&[from, to]) if from < to => Some((from, to)),
            Some(_) => return fail("a range is two numbers, the smaller first: --range=-1,1"),
        };
        let title = self.title.clone().unwrap_or_else(|| input.name.clone());
        let canvas = match shape[..] {
            [len] => draw_line(&input, len, width, height, range, shell)?,
            [rows, columns] => {
                let steps = [rows.div_ceil(height), columns.div_ceil(width)];
                input.region = input.region.every(0, steps[0]).every(1, steps[1]);
                self.draw_image(&input, [rows, columns], [height, width], range, shell)?
            }
            _ => {
                return fail(format!(
                    "{} has {} axes, and a picture shows one or two; name a slice, as {}[0]",
                    input.name,
                    shape.len(),
                    self.file.name()
                ));
            }
        };
        let png = canvas.titled(&title, ABOVE).to_png();
        if self.out.as_os_str() == "-" {
            shell.out.write_all(&png)?;
            return Ok(Answer::Yes);
        }
        let output = self.output.open(&self.out, shell)?;
        let mut draft = output.draft()?;
        let mut writer = BufWriter::new(draft.as_file_mut());
        writer.write_all(&png)?;
        writer.flush()?;
        drop(writer);
        output.publish(draft)
    }

    fn draw_image(
        &self,
        input: &Input,
        whole: [usize; 2],
        most: [usize; 2],
        range: Option<(f64, f64)>,
        shell: &Shell<'_>,
    ) -> Outcome<Canvas> {
        let values = values(input, shell)?;
        let (from, to) = range.unwrap_or_else(|| ends(&values));
        let [rows, columns] = [input.shape()[0], input.shape()[1]];
        // Small arrays get pixels that can be seen.
        let zoom = (most[0] / rows).min(most[1] / columns).max(1);
        let (height, width) = (rows * zoom, columns * zoom);
        let mut canvas = Canvas::new(BESIDE + width + RIGHT, ABOVE + height + BELOW);
        for y in 0..height {
            for x in 0..width {
                let value = values[y / zoom * columns + x / zoom];
                if !value.is_nan() {
                    let place = if to > from {
                        (value - from) / (to - from)
                    } else {
                        0.5
                    };
                    canvas.set(BESIDE + x, ABOVE + y, self.colours.at(place));
                }
            }
        }
        canvas.frame(BESIDE, ABOVE, width, height);
        canvas.tick_left(BESIDE, ABOVE, "0");
        canvas.tick_left(BESIDE, ABOVE + height - 8, &(whole[0] - 1).to_string());
        canvas.text(BESIDE, ABOVE + height + 8, "0");
        canvas.text_left_of(
            BESIDE + width,
            ABOVE + height + 8,
            &(whole[1] - 1).to_string(),
        );
        canvas.text_amid(
            BESIDE + width / 2,
            ABOVE + height + 8,
            &format!("{} .. {}", short(from), short(to)),
        );
        Ok(canvas)
    }
}

fn draw_line(
    input: &Input,
    len: usize,
    width: usize,
    height: usize,
    range: Option<(f64, f64)>,
    shell: &Shell<'_>,
) -> Outcome<Canvas> {
    let mut columns = vec![None::<(f64, f64)>; width];
    let mut elements = Elements::new(input, shell.memory(), shell.meter("reading"));
    let dtype = input.store.dtype();
    let mut place = 0;
    while let Some(bytes) = elements.next()? {
        for element in bytes.chunks_exact(dtype.itemsize()) {
            let value = print::value(dtype, element).unwrap_or(f64::NAN);
            if value.is_finite() {
                let column =
                    (place as u128 * (width as u128 - 1) / (len as u128 - 1).max(1)) as usize;
                let (low, high) = columns[column].get_or_insert((value, value));
                (*low, *high) = (low.min(value), high.max(value));
            }
            place += 1;
        }
    }
    let all = columns
        .iter()
        .flatten()
        .flat_map(|&(low, high)| [low, high])
        .collect::<Vec<_>>();
    let (from, to) = range.unwrap_or_else(|| ends(&all));
    let mut canvas = Canvas::new(BESIDE + width + RIGHT, ABOVE + height + BELOW);
    let y_of = |value: f64| {
        let place = if to > from {
            (value - from) / (to - from)
        } else {
            0.5
        };
        ABOVE + ((1.0 - place.clamp(0.0, 1.0)) * (height - 1) as f64).round() as usize
    };
    let mut before: Option<(usize, f64)> = None;
    for (x, ends) in columns.iter().enumerate() {
        let Some((low, high)) = *ends else {
            continue;
        };
        canvas.vertical(BESIDE + x, y_of(high), y_of(low));
        if let Some((from_x, value)) = before {
            canvas.line((BESIDE + from_x, y_of(value)), (BESIDE + x, y_of(low)));
        }
        before = Some((x, high));
    }
    canvas.frame(BESIDE, ABOVE, width, height);
    canvas.tick_left(BESIDE, ABOVE, &short(to));
    canvas.tick_left(BESIDE, ABOVE + height - 8, &short(from));
    canvas.text(BESIDE, ABOVE + height + 8, "0");
    canvas.text_left_of(BESIDE + width, ABOVE + height + 8, &(len - 1).to_string());
    Ok(canvas)
}

fn values(input: &Input, shell: &Shell<'_>) -> Outcome<Vec<f64>> {
    let dtype = input.store.dtype();
    let mut values = Vec::new();
    let mut elements = Elements::new(input, shell.memory(), shell.meter("reading"));
    while let Some(bytes) = elements.next()? {
        let each = bytes.chunks_exact(dtype.itemsize());
        values.extend(each.map(|element| print::value(dtype, element).unwrap_or(f64::NAN)));
    }
    Ok(values)
}

/// The least and the greatest finite number.
fn ends(values: &[f64]) -> (f64, f64) {
    let finite = values.iter().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
        (low.min(value), high.max(value))
    });
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

/// A number beside an axis.
fn short(value: f64) -> String {
    let text = print::number(value);
    match text.len() {
        ..=9 => text,
        _ if (1e-3..1e6).contains(&value.abs()) => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}
