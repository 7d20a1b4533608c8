//! Dependencies in OCI registries.

use std::fmt;

use bytes::Bytes;

use super::{Subcharts, Verify, helm};
use crate::base::class::chain;
use crate::base::constraint::Constraint;
use crate::chart::{Dependency, load_archive};
use crate::repo::error::Error;
use crate::repo::oci::{self, Part, Place};
use crate::source::oci::Session;

/// How registries are asked, and who hears of it.
#[derive(Clone, Copy)]
pub struct Registries<'a> {
    /// Asks.
    pub session: &'a Session,
    /// Hears of what was pulled.
    pub say: &'a (dyn Fn(&str) + Sync),
}

impl fmt::Debug for Registries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").finish_non_exhaustive()
    }
}

impl Subcharts<'_> {
    /// Chooses the version of a dependency.
    pub(super) async fn choose_oci(
        &self,
        dep: &Dependency,
        constraint: &Constraint,
    ) -> Result<String, Error> {
        let wanted = (dep.version.as_str(), constraint);
        oci::locked(self.registries.session, &dep.repository, &dep.name, wanted).await
    }

    /// Gets a dependency: the name of its file, and the archive.
    pub(super) async fn get_oci(&self, dep: &Dependency) -> Result<(String, Bytes), Error> {
        let address = format!("{}/{}", dep.repository, dep.name);
        (self.say)(&format!("Downloading {} from repo {}\n", dep.name, dep.repository));
        let failed =
            |error: Error| helm(format!("could not download {address}: {}", chain(&error)));
        let got = self.pull_oci(&address, &dep.version).await.map_err(failed)?;
        load_archive(&got.1).map_err(|error| failed(helm(chain(&error))))?;
        Ok(got)
    }

    async fn pull_oci(&self, address: &str, version: &str) -> Result<(String, Bytes), Error> {
        let session = self.registries.session;
        let place = oci::find(session, address, version).await?;
        let got = oci::get(session, &place, Part::Archive).await?;
        (self.registries.say)(&got.said());
        self.check_oci(address, &place, &got.bytes).await?;
        Ok((place.file_name, got.bytes))
    }

    /// Verifies an archive, as far as that is asked for.
    async fn check_oci(&self, address: &str, place: &Place, bytes: &[u8]) -> Result<(), Error> {
        let (trust, must) = match &self.verify {
            Verify::Never => return Ok(()),
            Verify::Always(trust) => (trust, true),
            Verify::IfPossible(trust) => (trust, false),
        };
        match oci::get(self.registries.session, place, Part::Provenance).await {
            Ok(signed) => {
                (self.registries.say)(&signed.said());
                trust.verify(bytes, &signed.bytes, &place.file_name).map(|_| ())
            }
            Err(_) if must => Err(oci::no_provenance(place)),
            Err(error) => {
                let why = chain(&error);
                (self.say)(&format!("WARNING: Verification not found for {address}: {why}\n"));
                Ok(())
            }
        }
    }
}
