"""What the jump step can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JumpParams:
    rejection_threshold: float = 4.0  #: sigma, with four or more differences
    three_group_rejection_threshold: float = 6.0  #: sigma, with two differences
    four_group_rejection_threshold: float = 5.0  #: sigma, with three differences
    maximum_cores: str = "1"  #: accepted for compatibility; threads are set for the whole service
    flag_4_neighbors: bool = True  #: flag the four pixels around a jump too
    max_jump_to_flag_neighbors: float = 1000.0  #: sigma
    min_jump_to_flag_neighbors: float = 10.0  #: sigma
    after_jump_flag_dn1: float = 0.0  #: DN, jumps from here on affect groups for time1
    after_jump_flag_time1: float = 0.0  #: s
    after_jump_flag_dn2: float = 0.0  #: DN, jumps from here on affect groups for time2
    after_jump_flag_time2: float = 0.0  #: s
    expand_large_events: bool = False  #: look for snowballs
    min_sat_area: float = 1.0  #: pixels, of the saturated core of a snowball
    min_jump_area: float = 5.0  #: pixels, of a jump that may be a snowball
    expand_factor: float = 2.0  #: by which the ellipse of a snowball grows
    sat_required_snowball: bool = True  #: only a jump with a saturated core is a snowball
    min_sat_radius_extend: float = 2.5  #: pixels, least minor axis of a core that is enlarged
    sat_expand: int = 2  #: pixels, added to the radii of a core
    edge_size: int = 25  #: pixels, nearer to the edge than this no core is required
    mask_snowball_core_next_int: bool = True  #: flag cores in the next integration
    snowball_time_masked_next_int: int = 4000  #: s
    find_showers: bool = False  #: look for showers (MIRI)
    max_shower_amplitude: float = 4.0  #: accepted for compatibility; 6 e-/s is used
    extend_snr_threshold: float = 1.2  #: sigma, of smoothed differences in a shower
    extend_min_area: int = 90  #: pixels, of a shower
    extend_inner_radius: float = 1.0  #: pixels, of the smoothing ring
    extend_outer_radius: float = 2.6  #: pixels, width of the smoothing ring
    extend_ellipse_expand_ratio: float = 1.1  #: by which the ellipse of a shower grows
    time_masked_after_shower: float = 15.0  #: s
    min_diffs_single_pass: int = 10  #: from so many differences on, all jumps are found at once
    max_extended_radius: int = 200  #: pixels, of any ellipse drawn
    minimum_groups: int = 3  #: accepted for compatibility; three usable groups are needed
    minimum_sigclip_groups: int = 100  #: from so many integrations (or groups) on, clip them
    only_use_ints: bool = True  #: clip each group over integrations, not all groups together
