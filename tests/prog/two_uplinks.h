// SPDX-License-Identifier: GPL-2.0-or-later
// A datapath with a LAN device and two uplinks on real devices, as `up` brings it up.
#pragma once

#include <string>
#include <vector>

#include "test_instance.h"

namespace linkbal::test {

inline constexpr const char* instance_name = "linkbal-test";

// Someone else's: a classic BPF program that matches nothing.
inline const std::string foreign_filter = "bpf bytecode '1,6 0 0 0,' flowid 1:1";

DatapathState two_uplinks(bool use_tcx);
bool has_tcx();
// TCX where the kernel has it, and clsact.
std::vector<bool> attach_modes();
void make_devices();

void fill(Datapath& datapath, const DatapathState& state);
void attach_all(Datapath& datapath, const DatapathState& state);
// As a first `up` does it.
void bring_up(Datapath& datapath, const DatapathState& state);
ActualDatapath actual(const Datapath& datapath);

std::string programs_on_devices();
std::string filters_of(const std::string& device);
std::string qdiscs_of(const std::string& device);

} // namespace linkbal::test
