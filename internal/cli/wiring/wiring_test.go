package wiring

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/internal/config"
)

func TestWhatIsMadeLastIsClosedFirst(t *testing.T) {
	app := New(config.Config{}, slog.New(slog.DiscardHandler))
	var closed []string
	app.closing(func() error { closed = append(closed, "journal"); return errors.New("journal stuck") })
	app.closing(func() error { closed = append(closed, "temporal"); return nil })
	require.ErrorContains(t, app.Close(), "journal stuck")
	require.Equal(t, []string{"temporal", "journal"}, closed)
	require.NoError(t, app.Close(), "a second close has nothing to do")
	require.Len(t, closed, 2)
}

func TestCallbacksReachPublicAddressesOnly(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(inner.Close)
	for private, allowed := range map[bool]bool{true: true, false: false} {
		client := &http.Client{Transport: outboundBase(private)}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, inner.URL, http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		if !allowed {
			require.ErrorContains(t, err, "is not public; TENDERLINE_CALLBACK_ALLOW_PRIVATE allows it")
			continue
		}
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
	}
	for address, public := range map[string]bool{
		"8.8.8.8:443": true, "[2606:4700::1111]:443": true, "10.1.2.3:443": false, "192.168.0.1:80": false, "172.16.0.1:80": false,
		"169.254.169.254:80": false, "127.0.0.1:80": false, "[::1]:80": false, "[fd00::1]:80": false, "[::ffff:10.0.0.1]:80": false,
		"0.0.0.0:80": false, "[fe80::1]:80": false, "224.0.0.1:80": false, "localhost:80": false,
		"100.64.0.1:443": false, "[64:ff9b::a00:1]:443": false, "[2002:a00:1::]:443": false,
	} {
		require.Equal(t, public, publicOnly("tcp", address, nil) == nil, address)
	}
}

func TestPrivateKeysOfEitherForm(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		text  []byte
		fails string
	}{
		"pkcs1":   {text: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})},
		"pkcs8":   {text: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})},
		"no pem":  {text: []byte("secret text"), fails: "holds no PEM block"},
		"no key":  {text: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), fails: "neither PKCS #8 nor PKCS #1"},
		"missing": {fails: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			if tc.text != nil {
				require.NoError(t, os.WriteFile(path, tc.text, 0o600))
			}
			keys, err := privateKeys(path)
			if tc.fails != "" {
				require.ErrorContains(t, err, tc.fails)
				require.ErrorContains(t, err, "TENDERLINE_CYBERSOURCE_MLE_PRIVATE_KEY_FILE")
				require.NotContains(t, err.Error(), "secret text")
				return
			}
			require.NoError(t, err)
			require.Len(t, keys, 1)
			require.True(t, key.Equal(keys[0]))
		})
	}
	keys, err := privateKeys("")
	require.NoError(t, err)
	require.Empty(t, keys)
}
