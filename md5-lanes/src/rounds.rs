//! The 64 steps of RFC 1321, section 3.4, once for every kernel, and what keeps them short.

/// The steps over one block. Where it stands, `f`, `g`, `h` and `i` must be functions of the four
/// rounds: `f::<S>(a, b, c, d, m, k)` is `b + ((a + F(b, c, d) + m + k) <<< S)`.
macro_rules! rounds {
    ($a:ident, $b:ident, $c:ident, $d:ident, $m:ident) => {
        $a = f::<7>($a, $b, $c, $d, $m[0], 0xd76a_a478);
        $d = f::<12>($d, $a, $b, $c, $m[1], 0xe8c7_b756);
        $c = f::<17>($c, $d, $a, $b, $m[2], 0x2420_70db);
        $b = f::<22>($b, $c, $d, $a, $m[3], 0xc1bd_ceee);
        $a = f::<7>($a, $b, $c, $d, $m[4], 0xf57c_0faf);
        $d = f::<12>($d, $a, $b, $c, $m[5], 0x4787_c62a);
        $c = f::<17>($c, $d, $a, $b, $m[6], 0xa830_4613);
        $b = f::<22>($b, $c, $d, $a, $m[7], 0xfd46_9501);
        $a = f::<7>($a, $b, $c, $d, $m[8], 0x6980_98d8);
        $d = f::<12>($d, $a, $b, $c, $m[9], 0x8b44_f7af);
        $c = f::<17>($c, $d, $a, $b, $m[10], 0xffff_5bb1);
        $b = f::<22>($b, $c, $d, $a, $m[11], 0x895c_d7be);
        $a = f::<7>($a, $b, $c, $d, $m[12], 0x6b90_1122);
        $d = f::<12>($d, $a, $b, $c, $m[13], 0xfd98_7193);
        $c = f::<17>($c, $d, $a, $b, $m[14], 0xa679_438e);
        $b = f::<22>($b, $c, $d, $a, $m[15], 0x49b4_0821);
        $a = g::<5>($a, $b, $c, $d, $m[1], 0xf61e_2562);
        $d = g::<9>($d, $a, $b, $c, $m[6], 0xc040_b340);
        $c = g::<14>($c, $d, $a, $b, $m[11], 0x265e_5a51);
        $b = g::<20>($b, $c, $d, $a, $m[0], 0xe9b6_c7aa);
        $a = g::<5>($a, $b, $c, $d, $m[5], 0xd62f_105d);
        $d = g::<9>($d, $a, $b, $c, $m[10], 0x0244_1453);
        $c = g::<14>($c, $d, $a, $b, $m[15], 0xd8a1_e681);
        $b = g::<20>($b, $c, $d, $a, $m[4], 0xe7d3_fbc8);
        $a = g::<5>($a, $b, $c, $d, $m[9], 0x21e1_cde6);
        $d = g::<9>($d, $a, $b, $c, $m[14], 0xc337_07d6);
        $c = g::<14>($c, $d, $a, $b, $m[3], 0xf4d5_0d87);
        $b = g::<20>($b, $c, $d, $a, $m[8], 0x455a_14ed);
        $a = g::<5>($a, $b, $c, $d, $m[13], 0xa9e3_e905);
        $d = g::<9>($d, $a, $b, $c, $m[2], 0xfcef_a3f8);
        $c = g::<14>($c, $d, $a, $b, $m[7], 0x676f_02d9);
        $b = g::<20>($b, $c, $d, $a, $m[12], 0x8d2a_4c8a);
        $a = h::<4>($a, $b, $c, $d, $m[5], 0xfffa_3942);
        $d = h::<11>($d, $a, $b, $c, $m[8], 0x8771_f681);
        $c = h::<16>($c, $d, $a, $b, $m[11], 0x6d9d_6122);
        $b = h::<23>($b, $c, $d, $a, $m[14], 0xfde5_380c);
        $a = h::<4>($a, $b, $c, $d, $m[1], 0xa4be_ea44);
        $d = h::<11>($d, $a, $b, $c, $m[4], 0x4bde_cfa9);
        $c = h::<16>($c, $d, $a, $b, $m[7], 0xf6bb_4b60);
        $b = h::<23>($b, $c, $d, $a, $m[10], 0xbebf_bc70);
        $a = h::<4>($a, $b, $c, $d, $m[13], 0x289b_7ec6);
        $d = h::<11>($d, $a, $b, $c, $m[0], 0xeaa1_27fa);
        $c = h::<16>($c, $d, $a, $b, $m[3], 0xd4ef_3085);
        $b = h::<23>($b, $c, $d, $a, $m[6], 0x0488_1d05);
        $a = h::<4>($a, $b, $c, $d, $m[9], 0xd9d4_d039);
        $d = h::<11>($d, $a, $b, $c, $m[12], 0xe6db_99e5);
        $c = h::<16>($c, $d, $a, $b, $m[15], 0x1fa2_7cf8);
        $b = h::<23>($b, $c, $d, $a, $m[2], 0xc4ac_5665);
        $a = i::<6>($a, $b, $c, $d, $m[0], 0xf429_2244);
        $d = i::<10>($d, $a, $b, $c, $m[7], 0x432a_ff97);
        $c = i::<15>($c, $d, $a, $b, $m[14], 0xab94_23a7);
        $b = i::<21>($b, $c, $d, $a, $m[5], 0xfc93_a039);
        $a = i::<6>($a, $b, $c, $d, $m[12], 0x655b_59c3);
        $d = i::<10>($d, $a, $b, $c, $m[3], 0x8f0c_cc92);
        $c = i::<15>($c, $d, $a, $b, $m[10], 0xffef_f47d);
        $b = i::<21>($b, $c, $d, $a, $m[1], 0x8584_5dd1);
        $a = i::<6>($a, $b, $c, $d, $m[8], 0x6fa8_7e4f);
        $d = i::<10>($d, $a, $b, $c, $m[15], 0xfe2c_e6e0);
        $c = i::<15>($c, $d, $a, $b, $m[6], 0xa301_4314);
        $b = i::<21>($b, $c, $d, $a, $m[13], 0x4e08_11a1);
        $a = i::<6>($a, $b, $c, $d, $m[4], 0xf753_7e82);
        $d = i::<10>($d, $a, $b, $c, $m[11], 0xbd3a_f235);
        $c = i::<15>($c, $d, $a, $b, $m[2], 0x2ad7_d2bb);
        $b = i::<21>($b, $c, $d, $a, $m[9], 0xeb86_d391);
    };
}

/// Has `$value` computed as it is written: without it the compiler adds constants last, and every step
/// would wait for one addition more. It is no instruction.
macro_rules! settled {
    ($class:ident, $value:expr) => {{
        let mut value = $value;
        // SAFETY: the text is a comment of the assembler; the value stays as it is.
        unsafe {
            std::arch::asm!("/* {0} */", inout($class) value,
                options(pure, nomem, nostack, preserves_flags));
        }
        value
    }};
}
