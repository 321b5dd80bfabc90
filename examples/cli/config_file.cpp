// TOML to options and back: a key is the flag of its name, so that both have one set of checks.
#include "config_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <toml++/toml.h>

#include <slidekit/system/error.hpp>

namespace slidekit::cli {

namespace {

// What a run reads and writes and where it runs is no matter of the network.
constexpr std::array kCommandLineOnly = {"train",
                                         "test",
                                         "model",
                                         "log",
                                         "config",
                                         "dump-config",
                                         "checkpoint",
                                         "resume",
                                         "sample-weights",
                                         "help"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kOutputNames = {
    {{"type", "output"},
     {"optimizer", "output-optimizer"},
     {"precision", "output-precision"},
     {"reads", "output-reads"},
     {"lr", "output-lr"}}};

// The flag that a key of [output] stands for.
std::string flag_of_output(std::string_view key) {
    for (const auto& [own, flag] : kOutputNames)
        if (own == key) return std::string(flag);
    return std::string(key);
}

bool of_command_line(std::string_view key) {
    return std::find(kCommandLineOnly.begin(), kCommandLineOnly.end(), key) !=
           kCommandLineOnly.end();
}

class Reader {
public:
    explicit Reader(std::string file) : file_(std::move(file)) {}

    [[nodiscard]] toml::table parse() const {
        std::ifstream stream(file_);
        if (!stream)
            throw Error(ErrorCode::input,
                        file_,
                        fmt::format("cannot be read ({}); give a TOML file", std::strerror(errno)));
        std::stringstream text;
        text << stream.rdbuf();
        if (stream.bad())
            throw Error(ErrorCode::input, file_, "cannot be read; give a TOML file, not a folder");
        try {
            return toml::parse(text.str(), file_);
        } catch (const toml::parse_error& error) {
            throw Error(ErrorCode::input,
                        fmt::format("{}:{}", file_, error.source().begin.line),
                        fmt::format("is no TOML ({})", error.description()));
        }
    }

    [[noreturn]] void refuse(const toml::node& at, const std::string& why) const {
        throw Error(ErrorCode::input, fmt::format("{}:{}", file_, at.source().begin.line), why);
    }

    // A value as a flag would get it.
    [[nodiscard]] std::string text_of(const std::string& key, const toml::node& value) const {
        if (const auto text = value.value_exact<std::string>()) return *text;
        if (const auto number = value.value_exact<std::int64_t>()) return std::to_string(*number);
        if (const auto number = value.value_exact<double>()) return fmt::format("{}", *number);
        if (const auto flag = value.value_exact<bool>()) return *flag ? "true" : "false";
        refuse(value, fmt::format("{} is neither text nor a number", key));
    }

    // The option of a key takes the value, unless the command line has given it one.
    void set(CLI::App& command,
             const std::string& key,
             const std::string& flag,
             const toml::node& value) const {
        CLI::Option* const option = command.get_option_no_throw("--" + flag);
        if (option == nullptr || of_command_line(flag)) {
            refuse(value,
                   option == nullptr
                       ? fmt::format("\"{}\" is no key; see slidekit train --dump-config", key)
                       : fmt::format("\"{}\" belongs on the command line, not into a file", key));
        }
        if (option->count() > 0) return;
        try {
            option->add_result(text_of(key, value));
            option->run_callback();
        } catch (const CLI::Error& error) {
            refuse(value, fmt::format("{} = {}: {}", key, text_of(key, value), error.what()));
        }
    }

private:
    std::string file_;
};

void read_layer(const Reader& reader, const toml::table& table, TrainOptions& options) {
    LayerOptions& layer = options.layers.emplace_back();
    CLI::App keys;
    add_layer_options(keys, layer);
    for (const auto& [key, value] : table) {
        const std::string name(key.str());
        reader.set(keys, name, name, value);
        layer.values[name] = reader.text_of(name, value);
    }
}

std::string quoted(const std::string& text) {
    char* end = nullptr;
    (void)std::strtod(text.c_str(), &end);
    const bool number = !text.empty() && *end == '\0' &&
                        text.find_first_not_of("0123456789+-.e") == std::string::npos;
    if (number || text == "true" || text == "false") return text;
    std::stringstream stream;
    stream << toml::value<std::string>(text);
    return stream.str();
}

// One line an option: as it was given, or as a comment with its default.
std::string line_of(const CLI::Option& option, std::string_view key) {
    if (option.count() > 0) {
        return fmt::format("{} = {}\n", key, quoted(option.results().front()));
    }
    const std::string usual = option.get_default_str();
    return usual.empty() ? fmt::format("# {} =\n", key)
                         : fmt::format("# {} = {}\n", key, quoted(usual));
}

}  // namespace

void read_config(const std::string& file, CLI::App& command, TrainOptions& options) {
    const Reader reader(file);
    const toml::table root = reader.parse();
    for (const auto& [key, value] : root) {
        const std::string name(key.str());
        if (name == "output" && value.is_table()) {
            for (const auto& [key_of_output, of] : *value.as_table()) {
                const std::string own(key_of_output.str());
                reader.set(command, "output." + own, flag_of_output(own), of);
            }
            continue;
        }
        if (name != "hidden" || !(value.is_array() || value.is_table())) {
            reader.set(command, name, name, value);
            continue;
        }
        const toml::array* const layers = value.as_array();
        if (layers == nullptr || layers->empty() || !layers->is_array_of_tables())
            reader.refuse(value, "hidden layers are tables under [[hidden]], or one width");
        for (const toml::node& layer : *layers) read_layer(reader, *layer.as_table(), options);
    }
}

std::string config_text(const CLI::App& command, const TrainOptions& options) {
    std::string text = "# slidekit train --config; what stands behind \"#\" is the default.\n";
    for (const CLI::Option* option : command.get_options()) {
        const std::string name = option->get_single_name();
        const bool single = name != "hidden" || options.layers.empty();
        // `output` would be both a value and a table.
        const bool of_output = std::any_of(kOutputNames.begin(),
                                           kOutputNames.end(),
                                           [&](const auto& entry) { return entry.second == name; });
        if (single && !of_output && !of_command_line(name)) text += line_of(*option, name);
    }
    for (const LayerOptions& layer : options.layers) {
        text += "\n[[hidden]]\n";
        LayerOptions usual;
        CLI::App keys;
        add_layer_options(keys, usual);
        for (const CLI::Option* option : keys.get_options()) {
            const std::string name = option->get_single_name();
            if (name == "help") continue;
            const auto given = layer.values.find(name);
            text += given == layer.values.end()
                        ? line_of(*option, name)
                        : fmt::format("{} = {}\n", name, quoted(given->second));
        }
    }
    text += "\n[output]\n";
    for (const auto& [key, flag] : kOutputNames)
        text += line_of(*command.get_option("--" + std::string(flag)), key);
    return text;
}

}  // namespace slidekit::cli
