//! Which drains end by themselves with this run: those of hosts to which nothing was done yet.

use super::Roll;

impl Roll<'_> {
    /// Whether its drains are leased: a host that was put back already, or is no longer what it was, may have proved bad.
    pub(super) fn begin_lease(&self, host: &str) -> bool {
        let mut moving = self.moving();
        let is_intact = !moving.handled.contains(host);
        if is_intact {
            moving.leased.insert(host.to_owned());
        }
        is_intact
    }

    /// From here on nobody but this run, or the next one, puts it back: it may be stopped.
    pub(super) async fn touch(&self, host: &str) -> Result<(), String> {
        let is_leased = self.moving().leased.contains(host);
        if is_leased {
            self.keep_out(host).await?;
        }
        let mut moving = self.moving();
        moving.leased.remove(host);
        moving.handled.insert(host.to_owned());
        Ok(())
    }
}
