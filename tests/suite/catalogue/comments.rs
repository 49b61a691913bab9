//! What the contract says about itself: the comments of the proto files.

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// The comment of everything: by file and by the path of the descriptor.
pub struct Comments(BTreeMap<(String, Vec<i32>), String>);

impl Comments {
    pub fn of(pool: &DescriptorPool) -> Self {
        let mut comments = BTreeMap::new();
        for file in pool.files() {
            let info = file.file_descriptor_proto().source_code_info.clone().unwrap_or_default();
            for location in info.location.into_iter().filter(|location| location.leading_comments.is_some()) {
                let words: Vec<_> = location.leading_comments().split_whitespace().map(str::to_owned).collect();
                comments.insert((file.name().to_owned(), location.path), words.join(" "));
            }
        }
        Self(comments)
    }

    /// The comment of what is at this path of a file, in one line.
    pub fn at(&self, file: &FileDescriptor, path: &[i32]) -> &str {
        self.0.get(&(file.name().to_owned(), path.to_vec())).unwrap_or_else(|| panic!("{}: {path:?}", file.name()))
    }
}
