//! Lists of what Check allows: candidates in their order, each decided as Check decides it.

use uuid::Uuid;

use super::{
    check::{Permission, Posed, Question, Target, allows},
    standpoint::View,
    work::Work,
};
use crate::error::Result;

/// A page of a list, as far as it was looked for.
#[derive(Debug)]
pub struct Found<K> {
    /// How many are wanted.
    size: usize,
    /// What Check allows.
    pub items: Vec<K>,
    /// The last candidate that was looked at, allowed or not: the next page begins behind it.
    pub last: Option<K>,
}

/// Why looking for more paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// There are no more candidates.
    End,
    /// The page is full, or the request has done all that it may, and there are more candidates.
    Page,
    /// Others should get their turn first.
    Slice,
}

impl<K> Found<K> {
    /// Nothing found yet, of a page of this size, behind this candidate.
    pub fn new(size: usize, after: Option<K>) -> Self {
        Self { size, items: Vec::new(), last: after }
    }

    /// Looks at candidates, each of which costs so many units of work.
    fn look<C: Copy>(
        &mut self,
        (work, units): (&mut Work, usize),
        candidates: impl Iterator<Item = C>,
        key: impl Fn(C) -> K,
        allowed: impl Fn(C) -> bool,
    ) -> Pause {
        let mut last = None;
        let mut pause = Pause::End;
        for candidate in candidates {
            if work.slice_is_over() {
                pause = Pause::Slice;
                break;
            }
            if self.items.len() >= self.size || !work.take(units) {
                pause = Pause::Page;
                break;
            }
            if allowed(candidate) {
                self.items.push(key(candidate));
            }
            last = Some(candidate);
        }
        if let Some(last) = last {
            self.last = Some(key(last));
        }
        pause
    }
}

/// Type and id of a resource.
pub type ResourceName = (String, String);

impl View<'_> {
    /// What somebody may do, by slug.
    pub fn list_permissions(
        &self,
        question: &Question<'_>,
        found: &mut Found<String>,
        work: &mut Work,
    ) -> Result<Pause> {
        let Ok(acting) = self.acting(question) else { return Ok(Pause::End) };
        let target = question.resource.map(|name| self.target(name));
        let after = found.last.clone();
        let behind = |slug: &str| after.as_deref().is_none_or(|after| slug > after);
        let mut permissions: Vec<Permission<'_>> = self
            .tenant
            .permissions()
            .filter(|(slug, _)| behind(slug))
            .map(|(slug, id)| Permission { id, slug })
            .collect();
        permissions.sort_unstable_by_key(|permission| permission.slug);
        let units = permissions.iter().map(|permission| self.units(*permission)).max().unwrap_or(1);
        Ok(found.look(
            (work, units),
            permissions.into_iter(),
            |permission| permission.slug.to_owned(),
            |permission| {
                let circumstances = question.circumstances;
                allows(self.decide(&Posed { acting: &acting, permission, target, circumstances }, self.sets()))
            },
        ))
    }

    /// The resources on which somebody may do something, by type and id; of one type where one is given.
    pub fn list_resources(
        &self,
        question: &Question<'_>,
        kind: Option<&str>,
        found: &mut Found<ResourceName>,
        work: &mut Work,
    ) -> Result<Pause> {
        let permission = self.permission(question.permission)?;
        let Ok(acting) = self.acting(question) else { return Ok(Pause::End) };
        let resources = &self.organization.resources;
        let after = found.last.clone();
        let after = after.as_ref().map(|(kind, id)| (kind.as_str(), id.as_str())).or(kind.map(|kind| (kind, "")));
        let rows = resources.sorted_after(after).iter().copied();
        let rows = rows.take_while(|row| kind.is_none_or(|kind| resources.get(*row).name().0 == kind));
        Ok(found.look(
            (work, self.units(permission)),
            rows,
            |row| {
                let (kind, id) = resources.get(row).name();
                (kind.to_owned(), id.to_owned())
            },
            |row| {
                let target = Some(Target { name: resources.get(row).name(), row: Some(row) });
                let circumstances = question.circumstances;
                allows(self.decide(&Posed { acting: &acting, permission, target, circumstances }, self.sets()))
            },
        ))
    }

    /// Who may do something, by user: user and membership.
    pub fn list_subjects(
        &self,
        question: &Question<'_>,
        found: &mut Found<(Uuid, Uuid)>,
        work: &mut Work,
    ) -> Result<Pause> {
        let permission = self.permission(question.permission)?;
        let target = question.resource.map(|name| self.target(name));
        let members = &self.organization.members;
        let rows = members.sorted_after(found.last.map(|(user_id, _)| user_id)).iter();
        Ok(found.look(
            (work, self.units(permission)),
            rows,
            |row| (members.get(*row).user_id, members.get(*row).membership_id),
            |row| {
                self.acting_at(Some(members.get(*row).user_id), question.circumstances.now).is_ok_and(|acting| {
                    let circumstances = question.circumstances;
                    allows(self.decide(&Posed { acting: &acting, permission, target, circumstances }, self.sets()))
                })
            },
        ))
    }

    fn units(&self, permission: Permission<'_>) -> usize {
        Work::of_decision(self.policies_count(permission.slug))
    }
}
