// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include <libmnl/libmnl.h>

#include "core/address.h"

namespace linkbal {

// The attributes of one received message, by type. A view: it lives as long as the message.
class Attributes {
  public:
    Attributes(const nlmsghdr* message, size_t family_header_size) {
        mnl_attr_parse(message, static_cast<unsigned>(family_header_size), &Attributes::store,
                       this);
    }
    // The attributes inside a nest, or any run of attributes in memory.
    Attributes(const void* start, size_t size) {
        mnl_attr_parse_payload(start, size, &Attributes::store, this);
    }

    [[nodiscard]] const nlattr* find(uint16_t type) const {
        return type < found_.size() ? found_[type] : nullptr;
    }
    // 0 where the attribute is absent.
    [[nodiscard]] uint32_t u32(uint16_t type) const {
        const nlattr* attribute = find(type);
        return attribute == nullptr ? 0 : mnl_attr_get_u32(attribute);
    }
    [[nodiscard]] std::string text(uint16_t type) const {
        const nlattr* attribute = find(type);
        return attribute == nullptr ? "" : mnl_attr_get_str(attribute);
    }
    [[nodiscard]] std::optional<IpAddress> address(uint16_t type) const {
        const nlattr* attribute = find(type);
        const size_t size = attribute == nullptr ? 0 : mnl_attr_get_payload_len(attribute);
        if (size != 4 && size != 16) {
            return std::nullopt;
        }
        return IpAddress({static_cast<const uint8_t*>(mnl_attr_get_payload(attribute)), size});
    }

  private:
    static int store(const nlattr* attribute, void* self) {
        const uint16_t type = mnl_attr_get_type(attribute);
        auto& found = static_cast<Attributes*>(self)->found_;
        if (type < found.size()) {
            found[type] = attribute;
        }
        return MNL_CB_OK;
    }
    std::array<const nlattr*, 64> found_{};
};

} // namespace linkbal
