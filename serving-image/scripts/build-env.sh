# Sourced in image builds: the settings of whoever builds (index, proxy, private CA) come as build secrets,
# so that no layer and no history of an image remembers them. Without the secrets nothing is set.
if [ -s /run/secrets/build-ca ]; then
  SSL_CERT_FILE=/run/secrets/build-ca PIP_CERT=/run/secrets/build-ca
  export SSL_CERT_FILE PIP_CERT
fi
if [ -s /run/secrets/build-env ]; then
  . /run/secrets/build-env
fi
