// SPDX-License-Identifier: GPL-2.0-or-later
#include "kernel/modules.h"

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

// nullptr: there is none.
const char* nat_module(std::string_view helper) {
    for (const auto& [name, module] : nat_modules) {
        if (name == helper) {
            return module;
        }
    }
    return nullptr;
}

} // namespace

Status load_nat_helper(const std::string& helper) {
    const char* const name = nat_module(helper);
    const std::unique_ptr<kmod_ctx, Unref> context(kmod_new(nullptr, nullptr));
    if (name == nullptr || !context) {
        return {};
    }
    kmod_list* found = nullptr;
    kmod_module_new_from_lookup(context.get(), name, &found);
    const std::unique_ptr<kmod_list, Unref> list(found);
    for (kmod_list* each = found; each != nullptr; each = kmod_list_next(found, each)) {
        const std::unique_ptr<kmod_module, Unref> module(kmod_module_get_module(each));
        const int code = kmod_module_probe_insert_module(module.get(), KMOD_PROBE_APPLY_BLACKLIST,
                                                         nullptr, nullptr, nullptr, nullptr);
        if (code < 0) {
            return fail_errno(-code, fmt::format("load the kernel module {}", name));
        }
    }
    return {};
}

} // namespace linkbal
