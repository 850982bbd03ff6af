use super::*;

#[test]
fn the_default_is_usable() {
    assert_eq!(GatewayConfig::default().check(), Ok(()));
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    let refused = |change: fn(&mut GatewayConfig)| {
        let mut config = GatewayConfig::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    };
    assert!(refused(|config| config.region.clear()).starts_with("region:"));
    assert!(refused(|config| config.inline_bytes = 64 * 1024).starts_with("inline_bytes:"));
    assert!(refused(|config| config.memory_limit_bytes = 1024).starts_with("memory_limit:"));
    assert!(refused(|config| config.read_deadline *= 2).starts_with("read_deadline:"));
}
