package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Channel is what holds for the orders of one shop channel: its own settings over the environment's.
type Channel struct {
	Name           string
	Erp            string            // name of the ERP: task queue and mappings
	CallbackURL    string            // "": the shop is not told
	CallbackSecret Secret            // Standard Webhooks signing secret
	Site           map[string]string // branch, warehouse, bank, terms, ...: for the mappings
	StockCallbacks bool              // the shop is told when the free stock of an article changes in the ERP
	Policy         Policy
}

// channelText is a channel as it is written; what is left out comes from the environment.
type channelText struct {
	ERP               string            `yaml:"erp"`
	CallbackURL       string            `yaml:"callbackUrl"`
	CallbackSecretEnv string            `yaml:"callbackSecretEnv"` // name of the variable that holds the secret
	Site              map[string]string `yaml:"site"`
	StockCallbacks    *bool             `yaml:"stockCallbacks"`
	Policy            yaml.Node         `yaml:"policy"`
}

// Channel gives the settings of a channel; false for one that is not configured. Where no channel is configured, or one is named
// "*", every name is one.
func (c Config) Channel(name string) (Channel, bool) {
	if channel, found := c.channels[name]; found && name != AllChannels {
		return channel, true
	}
	if channel, found := c.channels[AllChannels]; found {
		channel.Name = name
		return channel, true
	}
	if len(c.channels) > 0 {
		return Channel{}, false
	}
	channel := c.defaults()
	channel.Name = name
	return channel, true
}

// Channels names the channels with settings of their own, sorted; "*" stands for every other one.
func (c Config) Channels() []string { return slices.Sorted(maps.Keys(c.channels)) }

// WithChannels gives the settings with these channels instead of those that were read; for programs that make their settings
// themselves, such as the embedded run.
func (c Config) WithChannels(channels ...Channel) Config {
	c.channels = make(map[string]Channel, len(channels))
	for _, channel := range channels {
		c.channels[channel.Name] = channel
	}
	return c
}

// defaults is a channel without settings of its own.
func (c Config) defaults() Channel {
	channel := Channel{
		Erp: c.ERP, CallbackURL: c.Callback.URL, CallbackSecret: c.Callback.Secret, StockCallbacks: c.Callback.Stock, Policy: c.Policy,
	}
	channel.Policy.SaleInOneCall = c.Policy.SaleInOneCall && c.Cybersource.Guard == GuardVerified
	return channel
}

// readChannels reads the channels' own settings from the file or the text; JSON is read as the YAML that it is.
func (c Config) readChannels(env Environment) (map[string]Channel, error) {
	source, text := Prefix+"_CHANNELS", []byte(c.ChannelsText)
	if c.ChannelsFile != "" {
		source = Prefix + "_CHANNELS_FILE"
		var err error
		if text, err = readFile(c.ChannelsFile); err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var written map[string]channelText
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&written); err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: must be one document", source)
	}
	channels := map[string]Channel{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(written)) {
		channel, err := c.readChannel(name, written[name], env)
		if err != nil {
			problems = append(problems, prefixed(source+": channel "+name, err))
		}
		channels[name] = channel
	}
	return channels, errors.Join(problems...)
}

// readChannel lays a channel's own settings over the environment's.
func (c Config) readChannel(name string, written channelText, env Environment) (Channel, error) {
	channel := c.defaults()
	channel.Name, channel.Site = name, written.Site
	var problems []error
	if written.ERP != "" {
		channel.Erp = written.ERP
	}
	erp, known := c.ERPSettings(channel.Erp)
	if !known {
		problems = append(problems, errors.New("erp must be "+either(KnownERPs())))
	}
	if written.CallbackURL != "" {
		channel.CallbackURL = written.CallbackURL
		if !webAddress(written.CallbackURL) {
			problems = append(problems, errors.New("callbackUrl must be an address that starts with http:// or https://, without a user"))
		}
	}
	if written.StockCallbacks != nil {
		channel.StockCallbacks = *written.StockCallbacks
	}
	if written.CallbackSecretEnv != "" {
		secret, err := secretOf(written.CallbackSecretEnv, env)
		if err != nil {
			problems = append(problems, err)
		}
		channel.CallbackSecret = secret
	}
	if channel.CallbackURL != "" && channel.CallbackSecret == "" {
		problems = append(problems, errors.New("has a callbackUrl, but no secret to sign with (callbackSecretEnv or "+Prefix+"_CALLBACK_SECRET)"))
	}
	if err := strictly(written.Policy, &channel.Policy); err != nil {
		problems = append(problems, fmt.Errorf("policy: %w", err))
	}
	if channel.Policy.SaleInOneCall && c.Cybersource.Guard != GuardVerified {
		problems = append(problems, errors.New("policy saleInOneCall needs "+Prefix+"_CYBERSOURCE_TRANSACTION_ID_GUARD=verified"))
	}
	problems = append(problems, channel.Policy.problems(func(field string) string { return "policy " + camel(field) })...)
	if channel.Policy.GatewayPatience <= c.Cybersource.ResolveBudget {
		problems = append(problems, errors.New("policy gatewayPatience must be longer than "+Prefix+"_CYBERSOURCE_RESOLVE_BUDGET"))
	}
	if channel.Policy.StepTimeout <= max(c.Cybersource.Timeout, c.Callback.Timeout) {
		problems = append(problems, errors.New("policy stepTimeout must be longer than the time-out of one call"))
	}
	if known && channel.Policy.StepTimeout <= erp.Timeout {
		problems = append(problems, errors.New("policy stepTimeout must be longer than "+Prefix+"_"+erpVariable(channel.Erp)+"_TIMEOUT"))
	}
	return channel, errors.Join(problems...)
}

var variableName = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// secretOf reads a secret by the name of its variable. What is no name is not repeated: it may be the secret itself.
func secretOf(name string, env Environment) (Secret, error) {
	if !variableName.MatchString(name) {
		return "", errors.New("callbackSecretEnv must be the name of a variable (A-Z 0-9 _), not the secret")
	}
	secret, _ := env(name)
	if secret == "" {
		return "", fmt.Errorf("callbackSecretEnv names %s, which is not set", name)
	}
	return Secret(secret), nil
}

// strictly decodes a node over what is there already and refuses fields that nobody reads.
func strictly(node yaml.Node, into any) error {
	if node.IsZero() {
		return nil
	}
	text, err := yaml.Marshal(&node)
	if err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	return decoder.Decode(into)
}

// camel turns ON_ERP_FAILURE into onErpFailure.
func camel(field string) string {
	words := strings.Split(strings.ToLower(field), "_")
	for i := 1; i < len(words); i++ {
		words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
	}
	return strings.Join(words, "")
}

// prefixed puts the place before each of joined errors.
func prefixed(place string, err error) error {
	var lines []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		lines = append(lines, fmt.Errorf("%s: %s", place, line))
	}
	return errors.Join(lines...)
}

// AuthorizationLives are the ages at which the channels' authorizations count as run out, each once, sorted; those that never do are left out.
func (c Config) AuthorizationLives() []time.Duration {
	lives := map[time.Duration]bool{c.Policy.AuthorizationLife: true}
	for _, channel := range c.channels {
		lives[channel.Policy.AuthorizationLife] = true
	}
	delete(lives, 0)
	return slices.Sorted(maps.Keys(lives))
}
