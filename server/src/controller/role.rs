//! Whether this broker decides, and the wait until one that begins to has seen all that was decided before it.

use std::sync::atomic::Ordering;

use tokio::sync::MutexGuard;

use super::{controller::Controller, error::ControllerError, log::ProposeError};

/// This broker's part in deciding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// There is no other broker.
    Alone,
    /// It leads the metadata's log.
    Active {
        /// Since which epoch.
        epoch: i32,
    },
    /// It follows the log.
    Observer {
        /// The broker that leads it, if that is known.
        leader: Option<i32>,
    },
}

/// The role, and where the log ended when it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tenure {
    pub(super) role: Role,
    /// Records below this were decided by somebody else.
    from_offset: i64,
}

impl Tenure {
    pub(super) const ALONE: Self = Self { role: Role::Alone, from_offset: 0 };
}

/// The right to decide.
pub(super) type Deciding<'a> = MutexGuard<'a, ()>;

impl Controller {
    /// This broker's part.
    pub fn role(&self) -> Role {
        self.tenure.borrow().role
    }

    /// Resolves when the role differs from `known`.
    pub async fn role_changed(&self, known: Role) {
        // the sender is part of this controller
        let _ = self.tenure.subscribe().wait_for(|tenure| tenure.role != known).await;
    }

    /// The broker that decides, if that is known.
    pub fn active_controller(&self) -> Option<i32> {
        match self.role() {
            Role::Alone | Role::Active { .. } => Some(self.config.node_id),
            Role::Observer { leader } => leader,
        }
    }

    /// The leadership of the metadata's log changed. Every broker starts with a whole session under a new controller, which has
    /// not heard from any of them.
    pub fn set_role(&self, role: Role) {
        let began = role != self.role() && matches!(role, Role::Active { .. });
        if began {
            self.restart_sessions();
            self.since_snapshot.store(self.log.size_bytes(), Ordering::Relaxed);
        }
        let from_offset = if began { self.log.end_offset() } else { self.tenure.borrow().from_offset };
        self.tenure.send_replace(Tenure { role, from_offset });
    }

    /// Waits until this broker, if it is the controller, has seen all that was decided before it: its image holds all that its
    /// log held when it began.
    ///
    /// # Errors
    /// [`ProposeError::NotController`].
    pub(super) async fn lead(&self) -> Result<(), ControllerError> {
        let mut tenure = self.tenure.subscribe();
        let Tenure { role, from_offset } = *tenure.borrow_and_update();
        match role {
            Role::Alone => return Ok(()),
            Role::Active { .. } if self.image.applied() >= from_offset => return Ok(()),
            Role::Active { .. } => {
                tokio::select! {
                    () = self.image.reached(from_offset) => return Ok(()),
                    _ = tenure.wait_for(|now| now.role != role) => {}
                }
            }
            Role::Observer { .. } => {}
        }
        let leader = self.active_controller().filter(|leader| *leader != self.config.node_id);
        Err(ProposeError::NotController { leader }.into())
    }

    /// Takes the right to decide; hold it until the records are proposed.
    ///
    /// # Errors
    /// [`ProposeError::NotController`].
    pub(super) async fn decide(&self) -> Result<Deciding<'_>, ControllerError> {
        let deciding = self.deciding.lock().await;
        self.lead().await?;
        Ok(deciding)
    }
}
