// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/modules.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <libkmod.h>

namespace linkbal {

namespace {

constexpr std::array<std::pair<std::string_view, const char*>, 8> nat_modules{{
    {"Q.931", "nf_nat_h323"},
    {"RAS", "nf_nat_h323"},
    {"amanda", "nf_nat_amanda"},
    {"ftp", "nf_nat_ftp"},
    {"irc", "nf_nat_irc"},
    {"pptp", "nf_nat_pptp"},
    {"sip", "nf_nat_sip"},
    {"tftp", "nf_nat_tftp"},
}};

struct Unref {
    void operator()(kmod_ctx* context) const { kmod_unref(context); }
    void operator()(kmod_module* module) const { kmod_module_unref(module); }
    void operator()(kmod_list* list) const { kmod_module_unref_list(list); }
};

} // namespace

Status load_nat_helper(const std::string& helper) {
    const auto known =
        std::ranges::find(nat_modules, helper, &decltype(nat_modules)::value_type::first);
    const std::unique_ptr<kmod_ctx, Unref> context(kmod_new(nullptr, nullptr));
    if (known == nat_modules.end() || !context) {
        return {};
    }
    kmod_list* found = nullptr;
    kmod_module_new_from_lookup(context.get(), known->second, &found);
    const std::unique_ptr<kmod_list, Unref> list(found);
    for (kmod_list* each = found; each != nullptr; each = kmod_list_next(found, each)) {
        const std::unique_ptr<kmod_module, Unref> module(kmod_module_get_module(each));
        const int code = kmod_module_probe_insert_module(module.get(), KMOD_PROBE_APPLY_BLACKLIST,
                                                         nullptr, nullptr, nullptr, nullptr);
        if (code < 0) {
            return fail_errno(-code, fmt::format("load the kernel module {}", known->second));
        }
    }
    return {};
}

} // namespace linkbal
