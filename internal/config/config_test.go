package config_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/config"
)

func load(t *testing.T, values map[string]string) config.Config {
	t.Helper()
	c, err := config.Load(config.Map(values))
	require.NoError(t, err)
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, nil)
	require.Equal(t, "sqlite:.tenderline/journal.db", c.Database.DSN.Reveal())
	require.Equal(t, c.Database.DSN, c.Database.Erp())
	require.Equal(t, 25*time.Second, c.Cybersource.Timeout)
	require.Equal(t, 20.0, c.Cybersource.Outbound.Rate)
	require.Equal(t, []string{"workflows", "cybersource", "erp"}, c.Worker.Roles)
	require.Equal(t, []string{"syspro"}, c.ERPs())
	channel, found := c.Channel("any")
	require.True(t, found)
	require.Equal(t, "any", channel.Name)
	require.False(t, channel.Policy.SaleInOneCall, "a sale in one request needs the verified guard")
	require.Equal(t, canonical.FraudReject, channel.Policy.ReviewDefault)
}

func TestValuesAreTaken(t *testing.T) {
	c := load(t, map[string]string{
		"TENDERLINE_DATABASE_ERP_DSN":     "sqlite:/x.db",
		"TENDERLINE_CYBERSOURCE_TIMEOUT":  "3s",
		"TENDERLINE_CYBERSOURCE_RATE":     "2.5",
		"TENDERLINE_SYSPRO_BURST":         "7",
		"TENDERLINE_WORKER_ROLES":         "erp",
		"TENDERLINE_HTTP_BODY_LIMIT":      "2048",
		"TENDERLINE_POLICY_PAYMENT_TRIES": "", // empty is not set
		"TENDERLINE_CODEC_ORIGINS":        "https://a.example,https://b.example",
	})
	require.Equal(t, "sqlite:/x.db", c.Database.Erp().Reveal())
	require.Equal(t, 3*time.Second, c.Cybersource.Timeout)
	require.Equal(t, 2.5, c.Cybersource.Outbound.Rate)
	require.Equal(t, 7, c.Syspro.Outbound.Burst)
	require.Equal(t, []string{"erp"}, c.Worker.Roles)
	require.Equal(t, int64(2048), c.HTTP.BodyLimit)
	require.Equal(t, 3, c.Policy.PaymentTries)
	require.Equal(t, []string{"https://a.example", "https://b.example"}, c.Codec.Origins)
}

func TestEverythingWrongIsReportedAtOnceWithoutValues(t *testing.T) {
	values := map[string]string{
		"TENDERLINE_CYBERSOURCE_TIMEOUT":              "forever-s3cret",
		"TENDERLINE_SYSPRO_TIMEOUT":                   "41s",
		"TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD": "hopefully-s3cret",
		"TENDERLINE_HTTP_BURST":                       "many-s3cret",
		"TENDERLINE_CODEC_OPEN":                       "true",
		"TENDERLINE_LOG_LEVEL":                        "loud-s3cret",
		"TENDERLINE_POLICY_STOCK":                     "pray-s3cret",
		"TENDERLINE_POLICY_GATEWAY_PATIENCE":          "1m",
		"TENDERLINE_API_KEYS":                         "shop|shop|web|s3cret",
		"TENDERLINE_CALLBACK_URL":                     "https://user:s3cret@shop.example",
		"TENDERLINE_CHANNELS":                         `{"web":{"typo":1}}`,
		"TENDERLINE_WORKER_ROLES":                     "workflows,cooking-s3cret",
		"TENDERLINE_TRACE_RATIO":                      "NaN",
		"TENDERLINE_WORKER_ERPS":                      "sagepro,abacus-s3cret",
		"TENDERLINE_SAGEPRO_DIALECT":                  "foxpro-s3cret",
	}
	_, err := config.Load(config.Map(values))
	require.Error(t, err)
	for name := range values {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "s3cret")
}

func TestAnERPWithoutAnAdapterIsRefused(t *testing.T) {
	_, err := config.Load(config.Map(map[string]string{"TENDERLINE_ERP": "abacus-s3cret"}))
	require.ErrorContains(t, err, "TENDERLINE_ERP must be "+anyERP())
	require.NotContains(t, err.Error(), "s3cret")
}

func TestCheckNamesWhatAProcessLacks(t *testing.T) {
	c := load(t, map[string]string{"TENDERLINE_SYSPRO_API_KEY": "k", "TENDERLINE_CYBERSOURCE_SHARED_SECRET": "not base64 s3cret"})
	err := c.Check(config.UseJournal, config.UseGateway, config.UseErp, config.UseAPI)
	for _, name := range []string{
		"ENCRYPTION_KEYS", "CYBERSOURCE_MERCHANT_ID", "CYBERSOURCE_KEY_ID", "CYBERSOURCE_SHARED_SECRET", "SYSPRO_BASE_URL", "SYSPRO_COMPANY", "API_KEYS",
	} {
		require.ErrorContains(t, err, "TENDERLINE_"+name)
	}
	require.NotContains(t, err.Error(), "SYSPRO_CLIENT_ID", "the API key is enough")
	require.NotContains(t, err.Error(), "s3cret")

	c = load(t, map[string]string{
		"TENDERLINE_CYBERSOURCE_AUTH": "jwt_p12", "TENDERLINE_CYBERSOURCE_MERCHANT_ID": "m", "TENDERLINE_CYBERSOURCE_P12_FILE": "/does/not/exist",
		"TENDERLINE_ENCRYPTION_KEYS": "a:s3cret", "TENDERLINE_CYBERSOURCE_WEBHOOK_KEYS": "s3cret",
	})
	err = c.Check(config.UseGateway, config.UseJournal, config.UseAPI)
	for _, name := range []string{"CYBERSOURCE_P12_PASSWORD", "CYBERSOURCE_P12_FILE", "ENCRYPTION_KEYS", "CYBERSOURCE_WEBHOOK_KEYS"} {
		require.ErrorContains(t, err, "TENDERLINE_"+name)
	}
	require.NotContains(t, err.Error(), "s3cret")
	require.NotContains(t, err.Error(), "CYBERSOURCE_KEY_ID")

	c = load(t, map[string]string{
		"TENDERLINE_ENCRYPTION_KEYS": "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "TENDERLINE_CYBERSOURCE_MERCHANT_ID": "m",
		"TENDERLINE_CYBERSOURCE_KEY_ID": "k", "TENDERLINE_CYBERSOURCE_SHARED_SECRET": "c2VjcmV0", "TENDERLINE_SYSPRO_BASE_URL": "http://erp",
		"TENDERLINE_SYSPRO_COMPANY": "A", "TENDERLINE_SYSPRO_API_KEY": "k", "TENDERLINE_API_KEYS": "o|operator||" + config.HashKey("o"),
		"TENDERLINE_CYBERSOURCE_WEBHOOK_KEYS": "k1:c2VjcmV0, k2:c2VjcmV0",
	})
	require.NoError(t, c.Check(config.UseJournal, config.UseGateway, config.UseErp, config.UseAPI))
	keys, err := c.Cybersource.WebhookKeySet()
	require.NoError(t, err)
	require.Equal(t, map[string]string{"k1": "c2VjcmV0", "k2": "c2VjcmV0"}, keys)
}

func TestChannels(t *testing.T) {
	file := filepath.Join(t.TempDir(), "channels.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
web-us:
  callbackUrl: https://shop.example/hooks
  callbackSecretEnv: WEB_US_SECRET
  site: {branch: "10", warehouse: E}
  policy: {stock: backorder, parkDeadline: 90m, untrustedSignal: true}
web-eu: {}
`), 0o600))
	c := load(t, map[string]string{
		"TENDERLINE_CHANNELS_FILE": file, "WEB_US_SECRET": "whsec_x", "TENDERLINE_POLICY_CREDIT": "park",
		"TENDERLINE_CYBERSOURCE_TRANSACTION_ID_GUARD": "verified",
	})
	require.Equal(t, []string{"web-eu", "web-us"}, c.Channels())
	us, found := c.Channel("web-us")
	require.True(t, found)
	require.Equal(t, "whsec_x", us.CallbackSecret.Reveal())
	require.Equal(t, map[string]string{"branch": "10", "warehouse": "E"}, us.Site)
	require.Equal(t, "backorder", us.Policy.Stock)
	require.Equal(t, "park", us.Policy.Credit, "what a channel leaves out comes from the environment")
	require.Equal(t, 90*time.Minute, us.Policy.ParkDeadline)
	require.True(t, us.Policy.SaleInOneCall)
	eu, found := c.Channel("web-eu")
	require.True(t, found)
	require.Equal(t, c.Policy.ParkDeadline, eu.Policy.ParkDeadline)
	_, found = c.Channel("web-mars")
	require.False(t, found)

	others := load(t, map[string]string{"TENDERLINE_CHANNELS": `{"*":{"site":{"branch":"99"}}}`})
	mars, found := others.Channel("web-mars")
	require.True(t, found)
	require.Equal(t, "web-mars", mars.Name)
	require.Equal(t, "99", mars.Site["branch"])
}

func TestChannelsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown field":        {`{"web":{"polcy":{}}}`, "polcy"},
		"unknown policy":       {`{"web":{"policy":{"stok":"park"}}}`, "stok"},
		"wrong policy":         {`{"web":{"policy":{"onErpFailure":"pray"}}}`, "channel web: policy onErpFailure must be park or compensate"},
		"unknown erp":          {`{"web":{"erp":"abacus"}}`, "channel web: erp must be " + anyERP()},
		"secret is not set":    {`{"web":{"callbackUrl":"https://s.example","callbackSecretEnv":"NOT_SET"}}`, "NOT_SET"},
		"secret, not its name": {`{"web":{"callbackSecretEnv":"whsec_abc"}}`, "must be the name of a variable"},
		"no secret":            {`{"web":{"callbackUrl":"https://s.example"}}`, "no secret to sign with"},
		"sale without a guard": {`{"web":{"policy":{"saleInOneCall":true}}}`, "TRANSACTION_ID_GUARD"},
		"impatient":            {`{"web":{"policy":{"gatewayPatience":"1m"}}}`, "gatewayPatience must be longer"},
		"hasty":                {`{"web":{"policy":{"stepTimeout":"25s"}}}`, "stepTimeout must be longer"},
		"two documents":        {"web: {}\n---\nweb: {}\n", "one document"},
		"not a table":          {`[1]`, "TENDERLINE_CHANNELS"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Map(map[string]string{"TENDERLINE_CHANNELS": test.text}))
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "whsec_abc")
		})
	}
	_, err := config.Load(config.Map(map[string]string{"TENDERLINE_CHANNELS_FILE": "/does/not/exist"}))
	require.ErrorContains(t, err, "TENDERLINE_CHANNELS_FILE")
}

func TestKeys(t *testing.T) {
	c := load(t, map[string]string{"TENDERLINE_API_KEYS": strings.Join([]string{
		"web|shop|web-us+web-eu|" + config.HashKey("one"), " boss |analyst+operator||" + config.HashKey("two"), "all|shop|*|" + config.HashKey("three"),
	}, ",")})
	web, found := c.API.Keys.Find("one")
	require.True(t, found)
	require.Equal(t, "web", web.Name)
	require.True(t, web.Covers("web-eu"))
	require.False(t, web.Covers("web-mars"))
	require.True(t, web.Has(config.RoleOperator, config.RoleShop))
	boss, found := c.API.Keys.Find("two")
	require.True(t, found)
	require.Equal(t, "boss", boss.Name)
	require.False(t, boss.Covers("web-us"))
	all, found := c.API.Keys.Find("three")
	require.True(t, found)
	require.True(t, all.Covers("anything"))
	for _, wrong := range []string{"", "four", config.HashKey("one")} {
		_, found := c.API.Keys.Find(wrong)
		require.False(t, found)
	}

	hash := config.HashKey("x")
	for text, want := range map[string]string{
		"a|shop|web":                           "parts",
		"|shop|web|" + hash:                    "no name",
		"a|king|web|" + hash:                   "role",
		"a|shop||" + hash:                      "no channel",
		"a|shop|web|abc":                       "64 hexadecimal",
		"a|analyst||" + hash + ",a|analyst||0": "64 hexadecimal",
		"a|analyst||" + hash + ",a|operator||" + config.HashKey("y"): "name of an earlier",
		"a|analyst||" + hash + ",b|operator||" + hash:                "same key",
	} {
		var keys config.Keys
		require.ErrorContains(t, keys.Decode(text), want, text)
	}
}

func TestPrivateKeysOfEncryptedWebhooks(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "mle.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})...)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	keys, err := config.Cybersource{MLEPrivateKeyFile: file}.MLEKeys()
	require.NoError(t, err)
	require.Len(t, keys, 2)
	require.True(t, key.Equal(keys[0]) && key.Equal(keys[1]))

	keys, err = config.Cybersource{}.MLEKeys()
	require.NoError(t, err)
	require.Empty(t, keys)
	require.NoError(t, os.WriteFile(file, []byte("s3cret"), 0o600))
	_, err = config.Cybersource{MLEPrivateKeyFile: file}.MLEKeys()
	require.ErrorContains(t, err, "TENDERLINE_CYBERSOURCE_MLE_PRIVATE_KEY_FILE")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestSecretsDoNotShow(t *testing.T) {
	secret := config.Secret("s3cret")
	text, err := json.Marshal(struct{ S config.Secret }{secret})
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", secret)
	shown := string(text) + log.String() + fmt.Sprintf("%v %s %#v %+v", secret, secret, secret, struct{ S config.Secret }{secret})
	require.NotContains(t, shown, "s3cret")
	require.Equal(t, "s3cret", secret.Reveal())
}

func TestVariablesListEverySettingWithItsMeaning(t *testing.T) {
	list := config.Variables(config.Map(map[string]string{
		"TENDERLINE_CYBERSOURCE_SHARED_SECRET": "s3cret", "TENDERLINE_API_KEYS": "s3cret", "TENDERLINE_LOG_LEVEL": "debug",
	}))
	named := map[string]config.Variable{}
	for _, v := range list {
		require.NotEmpty(t, v.Meaning, v.Name)
		require.NotContains(t, named, v.Name, "two settings of one name")
		require.NotContains(t, v.Value, "s3cret")
		named[v.Name] = v
	}
	require.Equal(t, config.Variable{
		Name: "TENDERLINE_LOG_LEVEL", Value: "debug", Default: "info", Meaning: "debug, info, warn or error", Set: true,
	}, named["TENDERLINE_LOG_LEVEL"])
	require.Equal(t, "(set)", named["TENDERLINE_CYBERSOURCE_SHARED_SECRET"].Value)
	require.Equal(t, "25s", named["TENDERLINE_CYBERSOURCE_TIMEOUT"].Value)
	require.Contains(t, named, "TENDERLINE_SYSPRO_BREAKER_OPEN_FOR")
	require.Contains(t, named, "TENDERLINE_CHANNELS_FILE")
}

func FuzzKeys(f *testing.F) {
	f.Add("web|shop|web-us|" + config.HashKey("one"))
	f.Add("a|b|c|d,,|||")
	f.Fuzz(func(t *testing.T, text string) {
		var keys config.Keys
		if keys.Decode(text) != nil {
			return
		}
		for _, key := range keys {
			require.NotEmpty(t, key.Name)
			require.NotEmpty(t, key.Roles)
		}
	})
}

func FuzzChannels(f *testing.F) {
	f.Add(`{"web":{"policy":{"parkDeadline":"4h"},"site":{"a":"b"}}}`)
	f.Add("a: &a {}\nb: *a\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Load(config.Map(map[string]string{"TENDERLINE_CHANNELS": text}))
		if err != nil {
			return
		}
		for _, name := range c.Channels() {
			if channel, found := c.Channel(name); found {
				require.Positive(t, channel.Policy.ParkDeadline)
			}
		}
	})
}
