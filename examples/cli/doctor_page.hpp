// What `slidekit doctor` found, for machines and for people.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "examination.hpp"

namespace slidekit::cli {

[[nodiscard]] nlohmann::ordered_json doctor_json(const Examination& seen,
                                                 const std::vector<Finding>& findings);
[[nodiscard]] std::string doctor_page(const Examination& seen,
                                      const std::vector<Finding>& findings);

}  // namespace slidekit::cli
