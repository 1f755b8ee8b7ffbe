"""The MQTT doorbell from the settings; what rings and how it is heard is `cloud_sync.client.doorbell`."""

import random
from pathlib import Path

from cloud_sync.client.doorbell import Broker, MqttDoorbell
from edge.credentials import Credentials
from edge.settings import Doorbell


def mqtt_doorbell(settings: Doorbell, store_id: str, credentials: Credentials,
                  randomness: random.Random) -> MqttDoorbell:
    """The bell of this store at the broker that the settings name."""
    authority = Path(settings.certificate_authority) if settings.certificate_authority else None
    broker = Broker(host=settings.host, port=settings.port, tls=settings.tls, username=settings.username,
                    password=credentials.text(settings.password), certificate_authority=authority)
    return MqttDoorbell(broker, store_id, randomness)
