package config

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// MLEKeys reads the private keys that open encrypted webhooks; none where no file is set. The file may hold several PEM blocks, PKCS #1 or
// PKCS #8, while one key replaces another.
func (g Cybersource) MLEKeys() ([]*rsa.PrivateKey, error) {
	if g.MLEPrivateKeyFile == "" {
		return nil, nil
	}
	const name = Prefix + "_CYBERSOURCE_MLE_PRIVATE_KEY_FILE"
	text, err := readFile(g.MLEPrivateKeyFile)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var keys []*rsa.PrivateKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := parsePrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: block %d is not an RSA private key", name, len(keys)+1)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: holds no PEM block", name)
	}
	return keys, nil
}

func parsePrivateKey(der []byte) (*rsa.PrivateKey, error) {
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("key of type %T", parsed)
	}
	return key, nil
}
