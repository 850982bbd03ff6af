//! Tests of order: bytes sort as values do, and time never goes back.

use super::*;
use proptest::prelude::*;

#[test]
fn bytes_are_pinned() {
    let order = Order {
        time: 0x0102_0304_0506_0708,
        region: RegionId(0x0a0b),
        epoch: 0x0c0d_0e0f,
    };
    let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f];
    assert_eq!(order.to_bytes(), bytes);
}

proptest! {
    #[test]
    fn bytes_sort_as_orders_do(a: (u64, u16, u32), b: (u64, u16, u32)) {
        let order = |(time, region, epoch)| Order { time, region: RegionId(region), epoch };
        let (a, b) = (order(a), order(b));
        prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        prop_assert_eq!(b.cmp(&a), a.to_inverted_bytes().cmp(&b.to_inverted_bytes()));
        prop_assert_eq!(Order::from_bytes(a.to_bytes()), a);
        prop_assert_eq!(Order::from_inverted_bytes(a.to_inverted_bytes()), a);
    }

    #[test]
    fn after_is_later_whatever_the_clock_says(last in 0..u64::MAX - 1, now_ms in 0_u64..1 << 47) {
        let order = Order::after(last, now_ms, RegionId(1), 0);
        prop_assert!(order.time > last);
        prop_assert!(order.millis() >= now_ms);
    }
}
