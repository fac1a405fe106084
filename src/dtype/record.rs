//! Records: named fields at rising offsets, with gaps.

use std::collections::HashSet;
use std::sync::Arc;

use super::{ByteOrder, DType, Kind, MAX_ITEMSIZE, Repr};
use crate::error::DescrError;

/// How deep records may nest: CPython's parser refuses the brackets of more levels.
const MAX_DEPTH: usize = 99;

/// The content of a record dtype.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Record {
    /// In the order of their offsets, without overlap.
    pub(super) fields: Box<[Field]>,
    /// At most `MAX_ITEMSIZE`, and at least the end of the last field.
    pub(super) itemsize: usize,
    /// How many levels of records nest, this one included: at most `MAX_DEPTH`.
    depth: usize,
}

impl Record {
    pub(super) fn with_byte_order(&self, order: ByteOrder) -> Record {
        let swap = |field: &Field| Field {
            dtype: field.dtype.with_byte_order(order),
            ..field.clone()
        };
        Record {
            fields: self.fields.iter().map(swap).collect(),
            itemsize: self.itemsize,
            depth: self.depth,
        }
    }
}

/// One named field of a record dtype.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    name: Box<str>,
    title: Option<Box<str>>,
    dtype: DType,
    shape: Box<[usize]>,
    offset: usize,
    /// Of the whole sub-array.
    itemsize: usize,
}

impl Field {
    /// A field of one element at a byte offset of the record.
    pub(crate) fn new(name: &str, dtype: DType, offset: usize) -> Field {
        Field {
            name: name.into(),
            title: None,
            itemsize: dtype.itemsize(),
            shape: Box::default(),
            dtype,
            offset,
        }
    }

    /// The same field with NumPy's second name.
    pub(crate) fn with_title(mut self, title: &str) -> Field {
        self.title = Some(title.into());
        self
    }

    /// The same field as a sub-array in C order. An empty shape is one element.
    pub(crate) fn with_shape(mut self, shape: &[usize]) -> Result<Field, DescrError> {
        let name = || self.name.to_string();
        if shape.len() > crate::shape::MAX_NDIM {
            return Err(DescrError::SubarrayRank {
                name: name(),
                ndim: shape.len(),
            });
        }
        if shape.iter().any(|&dim| dim > i32::MAX as usize) {
            return Err(DescrError::SubarrayDim { name: name() });
        }
        let sized = !matches!(self.dtype.kind(), Kind::Bytes | Kind::Text | Kind::Void)
            || self.dtype.itemsize() > 0;
        if !shape.is_empty() && !sized {
            return Err(DescrError::Unsized { name: name() });
        }
        let itemsize = if shape.contains(&0) {
            Some(0)
        } else {
            shape
                .iter()
                .try_fold(self.dtype.itemsize(), |size, &dim| size.checked_mul(dim))
        };
        self.itemsize = itemsize
            .filter(|&size| size <= MAX_ITEMSIZE)
            .ok_or_else(|| DescrError::TooLarge {
                descr: format!("field {:?}", self.name),
            })?;
        self.shape = shape.into();
        Ok(self)
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns NumPy's title, a second name, if there is one.
    pub fn title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    /// Returns the dtype of one element.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// Returns the shape of a sub-array in C order, or an empty shape for one element.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the byte of the record at which the field starts.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the size of the field in bytes: of all elements of a sub-array.
    pub fn itemsize(&self) -> usize {
        self.itemsize
    }
}

impl DType {
    /// A record of fields in the order of their offsets, `itemsize` bytes in all.
    ///
    /// # Errors
    ///
    /// If NumPy could not write such a record and read it back: fields that overlap or lie outside,
    /// names or titles used twice, a nameless field that looks like padding, a size or depth beyond
    /// NumPy's limits.
    pub(crate) fn record(fields: Vec<Field>, itemsize: usize) -> Result<DType, DescrError> {
        if itemsize > MAX_ITEMSIZE {
            return Err(DescrError::TooLarge {
                descr: format!("a record of {itemsize} bytes"),
            });
        }
        let mut names = HashSet::with_capacity(fields.len());
        let mut end = 0;
        let mut depth = 1;
        for field in &fields {
            let name = &*field.name;
            if is_padding(name, field.title(), &field.dtype, &field.shape) {
                return Err(DescrError::Nameless);
            }
            for name in [Some(name), field.title()].into_iter().flatten() {
                if !names.insert(name) {
                    return Err(DescrError::DuplicateName {
                        name: name.to_owned(),
                    });
                }
            }
            if field.offset < end {
                return Err(DescrError::Overlap {
                    name: name.to_owned(),
                    offset: field.offset,
                    end,
                });
            }
            end = field.offset.saturating_add(field.itemsize);
            if let Repr::Record(record) = &field.dtype.0 {
                depth = depth.max(record.depth + 1);
            }
        }
        if end > itemsize {
            return Err(DescrError::RecordTooSmall { itemsize, end });
        }
        if depth > MAX_DEPTH {
            return Err(DescrError::TooDeep { max: MAX_DEPTH });
        }
        let fields = fields.into();
        Ok(DType(Repr::Record(Arc::new(Record {
            fields,
            itemsize,
            depth,
        }))))
    }
}

/// Whether NumPy takes an entry of a descr for a gap: sub-arrays of any type look like void to it.
pub(super) fn is_padding(name: &str, title: Option<&str>, dtype: &DType, shape: &[usize]) -> bool {
    name.is_empty() && title.is_none() && (dtype.kind() == Kind::Void || !shape.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const I4: DType = DType::number(Kind::Int, 4, ByteOrder::Little);

    fn field(name: &str, offset: usize) -> Field {
        Field::new(name, I4, offset)
    }

    #[test]
    fn a_record_has_the_layout_it_is_given() -> Result<(), DescrError> {
        let last = field("c", 12).with_title("sea").with_shape(&[2, 3])?;
        let dtype = DType::record(vec![field("a", 1), field("b", 6), last], 40)?;
        assert_eq!(dtype.itemsize(), 40);
        assert_eq!(
            dtype.descr(),
            "[('', '|V1'), ('a', '<i4'), ('', '|V1'), ('b', '<i4'), ('', '|V2'), (('sea', 'c'), '<i4', (2, 3)), \
             ('', '|V4')]"
        );
        let swapped = dtype.with_byte_order(ByteOrder::Big);
        assert_eq!(swapped.descr(), dtype.descr().replace('<', ">"));
        assert_eq!(swapped.with_byte_order(ByteOrder::Little), dtype);
        Ok(())
    }

    #[test]
    fn a_record_that_numpy_could_not_read_back_is_refused() {
        use DescrError::{DuplicateName, Nameless, Overlap, RecordTooSmall, TooLarge};
        let record = |fields, itemsize| DType::record(fields, itemsize).unwrap_err();
        assert!(matches!(
            record(vec![field("a", 0), field("a", 4)], 8),
            DuplicateName { .. }
        ));
        assert!(matches!(
            record(vec![field("a", 0).with_title("a")], 4),
            DuplicateName { .. }
        ));
        assert!(matches!(
            record(vec![field("a", 0), field("b", 3)], 8),
            Overlap { end: 4, .. }
        ));
        assert!(matches!(
            record(vec![field("a", 4)], 7),
            RecordTooSmall { end: 8, .. }
        ));
        assert!(matches!(
            record(vec![field("a", usize::MAX)], 7),
            RecordTooSmall {
                end: usize::MAX,
                ..
            }
        ));
        assert!(matches!(record(vec![], 1 << 31), TooLarge { .. }));
        assert!(DType::record(vec![], (1 << 31) - 1).is_ok());
        assert_eq!(record(vec![Field::new("", DType::void(1), 0)], 1), Nameless);
        assert_eq!(
            record(vec![field("", 0).with_shape(&[1]).unwrap()], 4),
            Nameless
        );
        assert!(DType::record(vec![field("", 0)], 4).is_ok());
    }

    #[test]
    fn sub_arrays_are_checked() {
        use DescrError::{SubarrayDim, SubarrayRank, TooLarge, Unsized};
        let shape = |dtype: DType, shape: &[usize]| Field::new("a", dtype, 0).with_shape(shape);
        assert_eq!(
            shape(I4, &[(1 << 29) - 1]).unwrap().itemsize(),
            (1 << 31) - 4
        );
        assert_eq!(shape(I4, &[1 << 30, 1 << 30, 0]).unwrap().itemsize(), 0);
        assert_eq!(shape(I4, &[1; 64]).unwrap().itemsize(), 4);
        assert_eq!(shape(I4, &[(1 << 31) - 1, 0]).unwrap().itemsize(), 0);
        assert!(matches!(shape(I4, &[1 << 29]), Err(TooLarge { .. })));
        assert!(matches!(shape(I4, &[1 << 30; 64]), Err(TooLarge { .. })));
        assert!(matches!(shape(I4, &[1 << 31]), Err(SubarrayDim { .. })));
        assert!(matches!(
            shape(I4, &[1; 65]),
            Err(SubarrayRank { ndim: 65, .. })
        ));
        assert!(matches!(shape(DType::void(0), &[2]), Err(Unsized { .. })));
    }

    #[test]
    fn records_nest_to_the_depth_that_python_reads() {
        let mut dtype = I4;
        for _ in 0..MAX_DEPTH {
            dtype = DType::record(vec![Field::new("a", dtype, 0)], 4).unwrap();
        }
        assert_eq!(DType::parse(&dtype.descr()).as_ref(), Ok(&dtype));
        let error = DType::record(vec![Field::new("a", dtype, 0)], 4).unwrap_err();
        assert!(matches!(error, DescrError::TooDeep { .. }));
    }
}
