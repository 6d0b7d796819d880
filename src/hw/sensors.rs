//! Reads what the kernel knows about the board's supply voltage, temperature and card.
//!
//! All of it is in files that every user may read, and each may be missing: a driver may load late, and another board
//! has other ones. A missing value counts as unknown.
//!
//! A Pi's firmware slows the processor down by itself, at 80 °C or when the voltage is too low. Mainline's driver
//! reports the voltage only, and a low clock says nothing, since an idle processor has one too; so only the kernel's
//! own throttling is reported.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::sys::stat::{major, minor};
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::base::board::{CardState, Readings};
use crate::ports::Sensors;

/// The sensors of the board that we run on.
#[derive(Debug)]
pub struct BoardSensors {
    sys: PathBuf,
    data: PathBuf,
}

impl BoardSensors {
    /// Sensors below `sys`, and the card below `data`.
    pub fn new(sys: impl Into<PathBuf>, data: impl Into<PathBuf>) -> BoardSensors {
        BoardSensors { sys: sys.into(), data: data.into() }
    }

    /// The devices of a class whose `file` holds a wanted value.
    fn devices(&self, class: &str, file: &str, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(self.sys.join("class").join(class)).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(move |path| word(&path.join(file)).is_some_and(|word| wanted(&word)))
    }
}

impl Sensors for BoardSensors {
    fn read(&mut self) -> Readings {
        // It is set if the voltage was too low at any time since the driver's previous poll, two seconds earlier.
        let low = self.devices("hwmon", "name", |name| name == "rpi_volt").find_map(|volt| {
            let alarm: u8 = number(&volt.join("in0_lcrit_alarm"))?;
            Some(alarm != 0)
        });
        let zone = |kind: &str| kind == "cpu-thermal";
        let heat = self.devices("thermal", "type", zone).find_map(|zone| number::<i32>(&zone.join("temp")));
        let cooling = self.devices("thermal", "type", |kind| kind.starts_with("cpufreq-"));
        let steps = cooling.filter_map(|device| number::<u32>(&device.join("cur_state"))).max();
        Readings {
            low_voltage: low,
            celsius: heat.map(|thousandths| thousandths as f32 / 1000.0),
            slowed: steps.map(|steps| 0 < steps),
        }
    }

    fn card(&mut self) -> Option<CardState> {
        let device = fs::metadata(&self.data).ok()?.dev();
        let block = fs::read_link(self.sys.join(format!("dev/block/{}:{}", major(device), minor(device)))).ok()?;
        let errors: u64 = number(&self.sys.join("fs/ext4").join(block.file_name()?).join("errors_count"))?;
        // In some kernels, neither flags nor options show that a file system takes no more writes after an error, but
        // all kernels count the error. The count survives restarts until the file system is repaired.
        let read_only = statvfs(&self.data).is_ok_and(|status| status.flags().contains(FsFlags::ST_RDONLY));
        Some(if 0 < errors || read_only { CardState::Failing } else { CardState::Good })
    }
}

fn word(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_string())
}

fn number<T: FromStr>(path: &Path) -> Option<T> {
    word(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A `/sys` as a kernel would show it.
    struct Sys(PathBuf);

    impl Sys {
        fn new(name: &str) -> Sys {
            let path = std::env::temp_dir().join(format!("farhand-sensors-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Sys(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn sensors(&self) -> BoardSensors {
            BoardSensors::new(&self.0, &self.0)
        }

        fn pi(name: &str) -> Sys {
            let sys = Sys::new(name);
            sys.write("class/hwmon/hwmon0/name", "cpu_thermal\n");
            sys.write("class/hwmon/hwmon1/name", "rpi_volt\n");
            sys.write("class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
            sys.write("class/thermal/thermal_zone0/type", "cpu-thermal\n");
            sys.write("class/thermal/thermal_zone0/temp", "48686\n");
            sys.write("class/thermal/cooling_device0/type", "cpufreq-cpu0\n");
            sys.write("class/thermal/cooling_device0/cur_state", "0\n");
            sys
        }

        /// Puts a file system with that many errors on its card.
        fn errors(&self, count: &str) {
            let device = fs::metadata(&self.0).unwrap().dev();
            let link = self.0.join(format!("dev/block/{}:{}", major(device), minor(device)));
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = std::os::unix::fs::symlink("../../devices/platform/mmc0/block/mmcblk0/mmcblk0p7", link);
            self.write("fs/ext4/mmcblk0p7/errors_count", count);
        }
    }

    impl Drop for Sys {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_pi_tells_of_its_supply_and_its_heat() {
        let sys = Sys::pi("pi");
        let mut sensors = sys.sensors();
        let well = Readings { low_voltage: Some(false), celsius: Some(48.686), slowed: Some(false) };
        assert_eq!(well, sensors.read());
        sys.write("class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
        sys.write("class/thermal/cooling_device0/cur_state", "3\n");
        assert_eq!(Readings { low_voltage: Some(true), slowed: Some(true), ..well }, sensors.read());
    }

    #[test]
    fn what_is_not_there_or_makes_no_sense_is_not_known() {
        let sys = Sys::new("none");
        assert_eq!((Readings::default(), None), (sys.sensors().read(), sys.sensors().card()));
        for other in
            ["class/hwmon/hwmon1/name", "class/thermal/thermal_zone0/type", "class/thermal/cooling_device0/type"]
        {
            sys.write(other, "other\n");
        }
        sys.write("class/thermal/thermal_zone0/temp", "48686\n");
        assert_eq!(Readings::default(), sys.sensors().read());
        let sys = Sys::pi("empty");
        for file in ["hwmon/hwmon1/in0_lcrit_alarm", "thermal/thermal_zone0/temp", "thermal/cooling_device0/cur_state"]
        {
            sys.write(&format!("class/{file}"), "\n");
        }
        assert_eq!(Readings::default(), sys.sensors().read());
    }

    #[test]
    fn a_card_fails_from_the_first_error_of_its_file_system_on() {
        let sys = Sys::new("card");
        for (count, state) in [("0\n", Some(CardState::Good)), ("1\n", Some(CardState::Failing)), ("\n", None)] {
            sys.errors(count);
            assert_eq!(state, sys.sensors().card(), "{count:?}");
        }
    }
}
