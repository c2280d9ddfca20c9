package keyring_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/keyring"
)

func key(fill byte) []byte { return bytes.Repeat([]byte{fill}, keyring.KeySize) }

func ring(t testing.TB, primary string, keys map[string][]byte) *keyring.Ring {
	t.Helper()
	r, err := keyring.New(primary, keys)
	require.NoError(t, err)
	return r
}

func TestSealedTextOpensWithSameAdditionalDataOnly(t *testing.T) {
	r := ring(t, "k1", map[string][]byte{"k1": key(1)})
	rapid.Check(t, func(t *rapid.T) {
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		sealed, err := r.Seal(plaintext, aad)
		require.NoError(t, err)
		if len(plaintext) > 4 {
			require.NotContains(t, string(sealed), string(plaintext))
		}

		opened, err := r.Open(sealed, aad)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plaintext, opened))

		_, err = r.Open(sealed, append(aad, 'x'))
		require.ErrorIs(t, err, keyring.ErrTampered)
	})
}

func TestEveryBitOfSealedTextCounts(t *testing.T) {
	r := ring(t, "k1", map[string][]byte{"k1": key(1), "k0": key(1)}) // same bytes: only the header tells them apart
	sealed, err := r.Seal([]byte("ada@example.com"), []byte("orders/input/1"))
	require.NoError(t, err)
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			_, err := r.Open(changed, []byte("orders/input/1"))
			require.Error(t, err, "byte %d, bit %d", i, bit)
		}
	}
}

func TestSameTextNeverSealsTheSame(t *testing.T) {
	r := ring(t, "k1", map[string][]byte{"k1": key(1)})
	first, err := r.Seal([]byte("same"), nil)
	require.NoError(t, err)
	second, err := r.Seal([]byte("same"), nil)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
}

func TestRotation(t *testing.T) {
	before := ring(t, "2025", map[string][]byte{"2025": key(1)})
	during := ring(t, "2026", map[string][]byte{"2025": key(1), "2026": key(2)})
	after := ring(t, "2026", map[string][]byte{"2026": key(2)})

	old, err := before.Seal([]byte("text"), nil)
	require.NoError(t, err)
	opened, err := during.Open(old, nil)
	require.NoError(t, err)
	require.Equal(t, "text", string(opened))

	fresh, err := during.Seal([]byte("text"), nil)
	require.NoError(t, err)
	id, err := keyring.KeyID(fresh)
	require.NoError(t, err)
	require.Equal(t, "2026", id)
	_, err = after.Open(fresh, nil)
	require.NoError(t, err)

	_, err = after.Open(old, nil)
	require.ErrorIs(t, err, keyring.ErrUnknownKey)
	require.True(t, during.Has("2025"))
	require.False(t, after.Has("2025"))
}

func TestParse(t *testing.T) {
	std := base64.StdEncoding.EncodeToString(key(0xfb))
	url := base64.RawURLEncoding.EncodeToString(key(0xfe))
	cases := map[string]struct {
		text    string
		primary string
		wantErr string
	}{
		"one key":            {text: "k1:" + std, primary: "k1"},
		"first is primary":   {text: "k2:" + url + ", k1:" + std, primary: "k2"},
		"empty":              {text: "", wantErr: "want id:base64"},
		"no id":              {text: ":" + std, wantErr: "key id"},
		"no key":             {text: "k1:", wantErr: "0 bytes long"},
		"not base64":         {text: "k1:***", wantErr: "not base64"},
		"short key":          {text: "k1:" + base64.StdEncoding.EncodeToString([]byte("short")), wantErr: "5 bytes long"},
		"same id twice":      {text: "k1:" + std + ",k1:" + url, wantErr: "twice"},
		"trailing separator": {text: "k1:" + std + ",", wantErr: "entry 2"},
		"id with space":      {text: "k 1:" + std, wantErr: "key id"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := keyring.Parse(c.text)
			if c.wantErr != "" {
				require.ErrorContains(t, err, c.wantErr)
				require.NotContains(t, err.Error(), std)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.primary, r.PrimaryID())
		})
	}
}

func TestPrimaryMustBeInRing(t *testing.T) {
	_, err := keyring.New("k2", map[string][]byte{"k1": key(1)})
	require.ErrorContains(t, err, `"k2"`)
}

func FuzzOpen(f *testing.F) {
	r := ring(f, "k1", map[string][]byte{"k1": key(1)})
	sealed, err := r.Seal([]byte("text"), []byte("place"))
	require.NoError(f, err)
	f.Add(sealed)
	f.Add([]byte{})
	f.Add([]byte{1, 255, 'k'})
	f.Add(sealed[:len(sealed)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		opened, err := r.Open(data, []byte("place"))
		if err == nil && string(opened) != "text" { // each fuzzing process has sealed it under a nonce of its own
			t.Fatalf("opened %q out of bytes that were never sealed", opened)
		}
	})
}
