//! `Canvas`: pixels, lines and text, and the PNG of them.

use font8x8::legacy::BASIC_LEGACY;

const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [60; 3];
const LINE: [u8; 3] = [31, 119, 180];

/// The width and the height of a character.
const CHAR: usize = 8;

pub(crate) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
    title: String,
}

impl Canvas {
    pub(crate) fn new(width: usize, height: usize) -> Canvas {
        Canvas {
            width,
            height,
            pixels: vec![PAPER; width * height],
            title: String::new(),
        }
    }

    /// Sets a pixel, if it is on the canvas.
    pub(crate) fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = colour;
        }
    }

    pub(crate) fn vertical(&mut self, x: usize, from: usize, to: usize) {
        for y in from.min(to)..=from.max(to) {
            self.set(x, y, LINE);
        }
    }

    /// A line that goes to the right, column by column.
    pub(crate) fn line(&mut self, (x, y): (usize, usize), (to_x, to_y): (usize, usize)) {
        let (run, rise) = ((to_x - x).max(1) as f64, to_y as f64 - y as f64);
        let at = |step: usize| (y as f64 + rise * step as f64 / run).round() as usize;
        for step in 0..to_x - x {
            self.vertical(x + step, at(step), at(step + 1));
        }
    }

    /// A frame around a part.
    pub(crate) fn frame(&mut self, x: usize, y: usize, width: usize, height: usize) {
        for x in x - 1..=x + width {
            self.set(x, y - 1, INK);
            self.set(x, y + height, INK);
        }
        for y in y - 1..=y + height {
            self.set(x - 1, y, INK);
            self.set(x + width, y, INK);
        }
    }

    /// A text from here to the right. What no 7-bit font has is a question mark.
    pub(crate) fn text(&mut self, x: usize, y: usize, text: &str) {
        for (index, char) in text.chars().enumerate() {
            let glyph = BASIC_LEGACY
                .get(char as usize)
                .unwrap_or(&BASIC_LEGACY[usize::from(b'?')]);
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..CHAR).filter(|column| bits >> column & 1 == 1) {
                    self.set(x + index * CHAR + column, y + row, INK);
                }
            }
        }
    }

    /// A text that ends before `x`.
    pub(crate) fn text_left_of(&mut self, x: usize, y: usize, text: &str) {
        self.text(x.saturating_sub(text.chars().count() * CHAR), y, text);
    }

    /// A text around `x`.
    pub(crate) fn text_amid(&mut self, x: usize, y: usize, text: &str) {
        self.text(x.saturating_sub(text.chars().count() * CHAR / 2), y, text);
    }

    /// A number beside the left edge of a frame.
    pub(crate) fn tick_left(&mut self, x: usize, y: usize, text: &str) {
        self.text_left_of(x - 6, y, text);
    }

    /// With a title in the middle of so many rows at the top, cut to the canvas.
    pub(crate) fn titled(mut self, title: &str, rows: usize) -> Canvas {
        let shown: String = title.chars().take(self.width / CHAR).collect();
        self.text_amid(self.width / 2, (rows - CHAR) / 2, &shown);
        self.title = title.to_owned();
        self
    }

    pub(crate) fn to_png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let titled = encoder.add_itxt_chunk("Title".into(), self.title.clone());
        let written = titled
            .and_then(|()| encoder.write_header())
            .and_then(|mut writer| {
                writer.write_image_data(self.pixels.as_flattened())?;
                writer.finish()
            });
        written.expect("a vector takes all bytes, and they are those of the size");
        bytes
    }
}
